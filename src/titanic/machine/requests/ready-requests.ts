/**
 * The requests of a service that could be sent, and whose turn it is (D118): by priority, then groups take turns, each
 * with its requests in order of acceptance; those without a group are one group together.
 *
 * Within a priority come first the groups of which nothing is *prepared*, which means read or with the broker and not
 * at a worker; so a new group waits for at most one request of each other one, however far ahead those are prepared.
 */
import { Circle, type InCircle } from '../../../core/circle.js';
import { IndexedHeap } from '../../../core/indexed-heap.js';
import { type Before, GroupHeap } from './group-heap.js';
import { GROUP, NO_SLOT, type OpenIndex, PLACE, PRIORITY, type Slot } from './open-index.js';

/** A group that has open requests; its heap has those that are ready. */
class OpenGroup extends GroupHeap implements InCircle<OpenGroup> {
  readonly key: string;
  /** Open requests of it, and those of them that are prepared. */
  open = 0;
  prepared = 0;
  /** No request of the group may be prepared now: its turn comes when that has changed. */
  isParked = false;
  /** Requests of it that wait for their next attempt; `null`: there never was one. */
  retrying: Set<Slot> | null = null;
  /** When the turn of the group comes in its circle: the smaller one is first. */
  turn = 0;
  circle: Circle<OpenGroup> | null = null;
  after: OpenGroup | null = null;
  before: OpenGroup | null = null;

  constructor(key: string) {
    super();
    this.key = key;
  }
}

/** The groups whose next request has one priority. */
interface Level {
  readonly priority: number;
  /** Groups of which nothing is prepared. */
  readonly fresh: Circle<OpenGroup>;
  readonly later: Circle<OpenGroup>;
}

/** The groups of all services, by the numbers in the index; 0 stands for none. */
export class OpenGroups {
  readonly #byNumber: (OpenGroup | null)[] = [null];
  readonly #free: number[] = [];

  add(group: OpenGroup): number {
    const number = this.#free.pop() ?? this.#byNumber.length;
    this.#byNumber[number] = group;
    return number;
  }

  of(number: number): OpenGroup | null {
    return this.#byNumber[number] ?? null;
  }

  remove(number: number): void {
    this.#byNumber[number] = null;
    this.#free.push(number);
  }
}

export class ReadyRequests {
  readonly #index: OpenIndex;
  readonly #before: Before;
  readonly #groups: OpenGroups;
  readonly #ungrouped: IndexedHeap;
  #numbers: Map<string, number> | null = null;
  /** In order, the highest priority first. */
  readonly #levels: Level[] = [];
  #inGroups = 0;
  /** How many of the requests are of groups that are parked. */
  #parked = 0;
  #turns = 0;
  /** As of a group: those without one. */
  #othersTurn = 0;
  #othersPrepared = 0;
  /** Groups of which something is prepared. */
  #preparedGroups = 0;

  /** @param before the order of dispatch, without groups */
  constructor(index: OpenIndex, before: Before, groups: OpenGroups) {
    this.#index = index;
    this.#before = before;
    this.#groups = groups;
    this.#ungrouped = new IndexedHeap({
      before,
      moved: (slot, place) => index.set(slot, PLACE, place),
    });
  }

  get size(): number {
    return this.#ungrouped.size + this.#inGroups;
  }

  /** How many of them may not be prepared now, because of their groups. */
  get parked(): number {
    return this.#parked;
  }

  /** Whether any open request is of a group. */
  get hasGroups(): boolean {
    return (this.#numbers?.size ?? 0) > 0;
  }

  /** How many groups have something prepared; those without a group are one. */
  get preparedGroups(): number {
    return this.#preparedGroups + Math.min(1, this.#othersPrepared);
  }

  // ---------------------------------------------------------------- open requests

  /** An open request is of the group of this name; empty: of none. */
  opened(slot: Slot, name: Buffer): void {
    if (name.length === 0) return;
    const key = name.toString('latin1');
    const numbers = (this.#numbers ??= new Map<string, number>());
    let number = numbers.get(key);
    if (number === undefined) {
      number = this.#groups.add(new OpenGroup(key));
      numbers.set(key, number);
    }
    const group = this.#groups.of(number);
    if (group !== null) group.open++;
    this.#index.set(slot, GROUP, number);
  }

  closed(slot: Slot): void {
    const number = this.#index.get(slot, GROUP);
    const group = this.#groups.of(number);
    if (group === null || --group.open > 0) return;
    this.#numbers?.delete(group.key);
    this.#groups.remove(number);
  }

  /** The name of its group; empty: it is of none. */
  groupOf(slot: Slot): Buffer {
    return Buffer.from(this.#groupOf(slot)?.key ?? '', 'latin1');
  }

  // ---------------------------------------------------------------- ready requests

  push(slot: Slot): void {
    const group = this.#groupOf(slot);
    if (group === null) {
      if (this.#ungrouped.size === 0) this.#othersTurn = ++this.#turns;
      this.#ungrouped.push(slot);
      return;
    }
    this.#inGroups++;
    if (group.isParked) this.#parked++;
    group.push(slot, this.#index, this.#before);
    this.#place(group);
  }

  remove(slot: Slot): void {
    const group = this.#groupOf(slot);
    if (group === null) {
      this.#ungrouped.removeAt(this.#index.get(slot, PLACE));
      return;
    }
    this.#inGroups--;
    if (group.isParked) this.#parked--;
    group.remove(slot, this.#index, this.#before);
    this.#place(group);
  }

  /** The one whose turn it is, or `NO_SLOT`. */
  peek(): Slot {
    const other = this.#ungrouped.peek();
    const levels = this.#levels;
    while (levels[0]?.fresh.first === null && levels[0].later.first === null) levels.shift();
    const [level] = levels;
    const group = level?.fresh.first ?? level?.later.first ?? null;
    if (level === undefined || group === null) return other;
    if (other === NO_SLOT) return group.first;
    const byPriority = this.#index.get(other, PRIORITY) - level.priority;
    if (byPriority !== 0) return byPriority > 0 ? other : group.first;
    const isOtherFresh = this.#othersPrepared === 0;
    if (isOtherFresh !== (group.prepared === 0)) return isOtherFresh ? other : group.first;
    return this.#othersTurn < group.turn ? other : group.first;
  }

  /** Whether nothing of its group is prepared, so that it may be sent beyond what workers can take. */
  isFresh(slot: Slot): boolean {
    const group = this.#groupOf(slot);
    return group === null ? this.#othersPrepared === 0 : group.prepared === 0;
  }

  /** How many of its group are prepared. */
  preparedOf(slot: Slot): number {
    return this.#groupOf(slot)?.prepared ?? this.#othersPrepared;
  }

  /** How many of a group are ready or prepared. */
  aheadOf(name: Buffer): number {
    const group = this.#groups.of(this.#numbers?.get(name.toString('latin1')) ?? 0);
    return group === null ? 0 : group.size + group.prepared;
  }

  /** The groups of which some are ready or prepared, or wait for their next attempt. */
  *groupsAhead(): Iterable<Buffer> {
    for (const number of this.#numbers?.values() ?? []) {
      const group = this.#groups.of(number);
      const retrying = group?.retrying?.size ?? 0;
      if (group === null || group.size + group.prepared + retrying === 0) continue;
      yield Buffer.from(group.key, 'latin1');
    }
  }

  /** Another request of its group that waits for its next attempt, or `NO_SLOT`. */
  holderOf(slot: Slot): Slot {
    for (const holder of this.#groupOf(slot)?.retrying ?? []) return holder;
    return NO_SLOT;
  }

  /** A request waits for its next attempt. */
  held(slot: Slot): void {
    const group = this.#groupOf(slot);
    if (group !== null) (group.retrying ??= new Set()).add(slot);
  }

  /** A request does not wait for its next attempt, or no more. @returns whether its group may go on therefore */
  released(slot: Slot): boolean {
    const group = this.#groupOf(slot);
    if (group?.retrying?.delete(slot) !== true) return false;
    this.#unpark(group);
    return group.size > 0;
  }

  /** Nothing of the group of a request may be prepared now. */
  park(slot: Slot): void {
    const group = this.#groupOf(slot);
    if (group === null) return;
    if (!group.isParked) this.#parked += group.size;
    group.isParked = true;
    this.#place(group);
  }

  /** Something of a group may be prepared again. @param name `null`: of any group */
  unpark(name: Buffer | null): void {
    const numbers = this.#numbers;
    if (numbers === null) return;
    const found = name === null ? numbers.values() : [numbers.get(name.toString('latin1')) ?? 0];
    for (const number of found) {
      const group = this.#groups.of(number);
      if (group !== null) this.#unpark(group);
    }
  }

  #unpark(group: OpenGroup): void {
    if (group.isParked) this.#parked -= group.size;
    group.isParked = false;
    this.#place(group);
  }

  /** A request that was ready is prepared: its group's turn is over. */
  prepared(slot: Slot): void {
    const group = this.#groupOf(slot);
    if (group === null) {
      this.#othersPrepared++;
      this.#othersTurn = ++this.#turns;
      return;
    }
    if (++group.prepared === 1) this.#preparedGroups++;
    this.#leaveCircle(group);
    this.#place(group);
  }

  /** Another request of this group was dispatched: it is the last one now. */
  tookTurn(name: Buffer): void {
    if (name.length === 0) {
      this.#othersTurn = ++this.#turns;
      return;
    }
    const group = this.#groups.of(this.#numbers?.get(name.toString('latin1')) ?? 0);
    if (group === null) return;
    this.#leaveCircle(group);
    this.#place(group);
  }

  /** A request that was prepared is at a worker, or comes back. */
  unprepared(slot: Slot): void {
    const group = this.#groupOf(slot);
    if (group === null) {
      if (--this.#othersPrepared === 0) this.#othersTurn = ++this.#turns;
      return;
    }
    if (--group.prepared === 0) this.#preparedGroups--;
    this.#unpark(group);
  }

  // ---------------------------------------------------------------- lists

  /** How many are sent before one of them, counted up to `most`. */
  countBefore(slot: Slot, most: number): number {
    const own = this.#groupOf(slot);
    const priority = this.#index.get(slot, PRIORITY);
    const ahead =
      own === null
        ? this.#ungrouped.countBefore(slot, most)
        : own.countBefore(slot, most, this.#index, this.#before);
    let count = ahead;
    if (own !== null && this.#ungrouped.size > 0) {
      count += Math.min(this.#ungrouped.size, ahead + 1);
    }
    for (const level of this.#levels) {
      if (level.priority < priority) break;
      for (const circle of [level.fresh, level.later]) {
        for (const group of circle.all()) {
          if (count >= most) return most;
          if (group === own) continue;
          count += level.priority > priority ? group.size : Math.min(group.size, ahead + 1);
        }
      }
    }
    return Math.min(count, most);
  }

  /** Some of them, not those that are sent first; before all others, those that may not be prepared now. */
  least(most: number): Slot[] {
    const parked = this.#parked > 0 ? this.#allParked(most) : [];
    return [...parked, ...this.#lastOnes(most - parked.length)];
  }

  #allParked(most: number): Slot[] {
    const found: Slot[] = [];
    for (const number of this.#numbers?.values() ?? []) {
      const group = this.#groups.of(number);
      if (group?.isParked !== true) continue;
      for (const slot of group.all(this.#index)) {
        if (found.length === most) return found;
        found.push(slot);
      }
    }
    return found;
  }

  #lastOnes(most: number): Slot[] {
    const { size } = this.#ungrouped;
    const found = Array.from({ length: Math.min(most, size) }, (_, n) =>
      this.#ungrouped.at(size - 1 - n),
    );
    for (let at = this.#levels.length - 1; at >= 0 && found.length < most; at--) {
      for (const circle of [this.#levels[at]?.later, this.#levels[at]?.fresh]) {
        for (const group of circle?.all() ?? []) {
          for (const slot of group.all(this.#index)) {
            if (found.length === most) return found;
            found.push(slot);
          }
        }
      }
    }
    return found;
  }

  // ---------------------------------------------------------------- turns

  #groupOf(slot: Slot): OpenGroup | null {
    return this.#groups.of(this.#index.get(slot, GROUP));
  }

  /** Has the group where it belongs: it is the last one in another circle than before. */
  #place(group: OpenGroup): void {
    const circle = group.size === 0 || group.isParked ? null : this.#circleFor(group);
    if (circle === group.circle) return;
    this.#leaveCircle(group);
    if (circle === null) return;
    group.turn = ++this.#turns;
    group.circle = circle;
    circle.append(group);
  }

  #leaveCircle(group: OpenGroup): void {
    group.circle?.remove(group);
    group.circle = null;
  }

  #circleFor({ first, prepared }: OpenGroup): Circle<OpenGroup> {
    const { fresh, later } = this.#levelOf(this.#index.get(first, PRIORITY));
    return prepared === 0 ? fresh : later;
  }

  /** Priorities are few: -100 to 100. */
  #levelOf(priority: number): Level {
    let at = 0;
    for (const level of this.#levels) {
      if (level.priority === priority) return level;
      if (level.priority < priority) break;
      at++;
    }
    const added = { priority, fresh: new Circle<OpenGroup>(), later: new Circle<OpenGroup>() };
    this.#levels.splice(at, 0, added);
    return added;
  }
}
