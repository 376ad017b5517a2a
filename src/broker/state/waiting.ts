/**
 * The requests of a service that wait for its workers, and whose turn it is (D118): groups take turns by request, and
 * those without a group are one group together. A service whose requests have no groups has two lists and no turns.
 */
import { Circle, type InCircle } from '../../core/circle.js';
import { escapeName } from '../../core/escape.js';
import type { RunLimit, ServiceLimits } from '../options.js';
import type { Gate, Gates } from './gates.js';
import {
  ARRIVED_AT,
  FLAGS,
  GROUP,
  GROUPED,
  NONE,
  type RequestId,
  RequestList,
  type RequestTable,
  RETURNED,
  STORED,
} from './request-table.js';

/** Memory of a group, besides its name (measured): each of its requests counts it, since each may be the only one. */
const GROUP_BYTES = 200;
/** Maximum number of groups that are looked at for the oldest request. */
const LOOKS_MAX = 1000;
/** Maximum number of groups that are looked at for those of which nothing may start. */
const FULL_LOOKS_MAX = 10_000;

const ENDED_MAX = 1000;

/** The requests of a group that wait, plain and stored ones, in the order in which they are dispatched. */
export class Group extends RequestList implements InCircle<Group> {
  /** The bytes of its name, one character per byte. */
  key: string;
  /** The number of its requests, also of those at workers. */
  requests = 0;
  /** How many stored ones of it wait. */
  stored = 0;
  /** The limit of the group; `null`: it has none. */
  gate: Gate | null = null;
  after: Group | null = null;
  before: Group | null = null;

  constructor(table: RequestTable, key: string) {
    super(table);
    this.key = key;
  }
}

/** The groups of all services, by the numbers that the records of their requests have. */
export class Groups {
  readonly #byNumber: (Group | null)[] = [];
  readonly #free: number[] = [];
  /** Groups that ended, and are used again: where each request has a group of its own, most are. */
  readonly #ended: Group[] = [];

  add(table: RequestTable, key: string): number {
    const number = this.#free.pop() ?? this.#byNumber.length;
    const ended = this.#ended.pop();
    if (ended !== undefined) {
      ended.key = key;
      ended.gate = null;
    }
    this.#byNumber[number] = ended ?? new Group(table, key);
    return number;
  }

  of(number: number): Group | null {
    return this.#byNumber[number] ?? null;
  }

  remove(number: number): void {
    const group = this.of(number);
    if (group !== null && this.#ended.length < ENDED_MAX) this.#ended.push(group);
    this.#byNumber[number] = null;
    this.#free.push(number);
  }
}

/** A group whose requests wait for a limit. */
interface HeldGroup {
  /** The bytes of its name, one character per byte. */
  readonly key: string;
  /** The name in printable form (D3). */
  readonly group: string;
  readonly why: string;
  readonly queued: number;
}

/** What the requests of all services share. */
export interface SharedParts {
  readonly table: RequestTable;
  readonly groups: Groups;
  readonly gates: Gates;
}

export class Waiting {
  /** Plain requests that wait, and those that parts of this process submitted. */
  plainCount = 0;
  storedCount = 0;
  /** While both wait, so many stored requests without a group follow each plain one, if any is of another broker. */
  storedTurns = 1;
  /** How many of the stored ones are from other brokers. */
  storedOfOthers = 0;
  /** How many of the stored ones wait because of the limit of their group, as far as `next` has seen it. */
  storedHeld = 0;
  /** `null`: the service has no limits. */
  limits: ServiceLimits | null = null;
  /** The limit of the service; `null`: it has none. */
  gate: Gate | null = null;
  readonly #service: number;
  readonly #table: RequestTable;
  readonly #groups: Groups;
  readonly #gates: Gates;
  /** Plain requests without a group, the one that has waited longest first. */
  readonly plain: RequestList;
  readonly #stored: RequestList;
  #storedTurnsLeft = 0;
  /** The numbers of the groups, by the bytes of their names; `null`: there is none. */
  #numbers: Map<string, number> | null = null;
  /** Stands for the requests without a group in the circle of groups. */
  #others: Group | null = null;
  /** The groups whose requests wait. */
  readonly #turns = new Circle<Group>();

  /** @param service its number */
  constructor(service: number, { table, groups, gates }: SharedParts) {
    this.#service = service;
    this.#table = table;
    this.#groups = groups;
    this.#gates = gates;
    this.plain = RequestList.queue(table);
    this.#stored = RequestList.queue(table);
  }

  get count(): number {
    return this.plainCount + this.storedCount;
  }

  /** The number of groups that have requests, also at workers. */
  get groupCount(): number {
    return this.#numbers?.size ?? 0;
  }

  // ---------------------------------------------------------------- groups

  /**
   * The request, which is in no list, is of the group with this name.
   * @param key the bytes of the name, one character per byte
   * @returns the memory that it takes
   */
  join(id: RequestId, key: string): number {
    const numbers = (this.#numbers ??= new Map<string, number>());
    let number = numbers.get(key) ?? NONE;
    if (number === NONE) number = this.#addGroup(key, numbers);
    const group = this.#groups.of(number);
    if (group !== null) this.#used(group);
    this.#table.setBeside(id, GROUP, number);
    this.#table.raise(id, GROUPED);
    return GROUP_BYTES + key.length;
  }

  /** The request, which is in no list, is no longer of its group. @returns the memory that it took */
  leave(id: RequestId): number {
    const table = this.#table;
    table.lower(id, GROUPED);
    const number = table.beside(id, GROUP);
    const group = this.#groups.of(number);
    if (group === null) return 0;
    const { key } = group;
    if (--group.requests === 0 && !this.#isKept(group)) this.#forget(group, number);
    return GROUP_BYTES + key.length;
  }

  #addGroup(key: string, numbers: Map<string, number>): number {
    const number = this.#groups.add(this.#table, key);
    numbers.set(key, number);
    const limit = this.limits?.group ?? null;
    const group = this.#groups.of(number);
    if (limit !== null && group !== null) group.gate = this.#gates.add(this.#service, key, limit);
    if (numbers.size === 1 && !this.#hasNoOthers) this.#othersWait();
    return number;
  }

  #forget({ key, gate }: Group, number: number): void {
    if (gate !== null) this.#gates.remove(gate);
    this.#groups.remove(number);
    this.#numbers?.delete(key);
    if (this.groupCount > 0) return;
    this.#numbers = null;
    if (this.#others !== null) this.#turns.remove(this.#others);
  }

  /** Whether a group is kept that has no requests here. */
  #isKept({ gate }: Group): boolean {
    if (gate === null) return false;
    // Where nothing is to come that could open it, it is awaited in vain: it is open.
    if (gate.running > 0 || (gate.isAwaited && (gate.isTimed || gate.isListed))) return true;
    return this.#gates.keepIdle(gate);
  }

  #used(group: Group): void {
    if (group.requests++ === 0 && group.gate !== null) this.#gates.reopen(group.gate);
  }

  /** The name of its group; empty: it is of none. */
  groupOf(id: RequestId): Buffer {
    return Buffer.from(this.#groupOf(id)?.key ?? '', 'latin1');
  }

  // ---------------------------------------------------------------- requests

  push(id: RequestId): void {
    const flags = this.#table.get(id, FLAGS);
    if ((flags & (STORED | GROUPED)) === 0 && this.#numbers === null) {
      this.plainCount++;
      this.plain.pushBack(id);
      return;
    }
    if ((flags & RETURNED) !== 0) this.#table.lower(id, RETURNED);
    this.#listFor(id).pushBack(id);
  }

  /** A request comes back from a worker: it is the next of its group. */
  pushFront(id: RequestId): void {
    this.#listFor(id).pushFront(id);
  }

  /** A stored request was at a worker before: it comes before those of its group that were not. */
  pushReturned(id: RequestId): void {
    const table = this.#table;
    const list = this.#listFor(id);
    table.raise(id, RETURNED);
    let behind: RequestId = NONE;
    for (let at = list.head; at !== NONE && table.is(at, RETURNED); at = list.next(at)) behind = at;
    list.insertBehind(id, behind);
  }

  /** Where the request comes, which is counted from now on. */
  #listFor(id: RequestId): RequestList {
    const flags = this.#table.get(id, FLAGS);
    const isStored = (flags & STORED) !== 0;
    if (isStored) this.storedCount++;
    else this.plainCount++;
    if ((flags & GROUPED) === 0) {
      this.#othersWait();
      return isStored ? this.#stored : this.plain;
    }
    const group = this.#groups.of(this.#table.beside(id, GROUP));
    if (group === null) return this.plain;
    if (isStored) {
      group.stored++;
      if (group.after === null) this.storedHeld++;
    }
    if (group.gate?.isOpen !== false) this.#enter(group);
    return group;
  }

  remove(id: RequestId): void {
    const flags = this.#table.get(id, FLAGS);
    const isStored = (flags & STORED) !== 0;
    if (isStored) this.storedCount--;
    else this.plainCount--;
    if ((flags & GROUPED) === 0) {
      (isStored ? this.#stored : this.plain).remove(id);
      if (this.#others !== null && this.#hasNoOthers) this.#turns.remove(this.#others);
      return;
    }
    const group = this.#groups.of(this.#table.beside(id, GROUP));
    if (group === null) return;
    group.remove(id);
    if (isStored) {
      group.stored--;
      if (group.after === null) this.storedHeld--;
    }
    if (group.count === 0) this.#turns.remove(group);
  }

  /** Removes the request that `next` gave, because it is dispatched: its group's turn is over. */
  take(id: RequestId): void {
    const isStored = this.#table.is(id, STORED);
    if (this.limits !== null) this.started(id);
    if (this.#numbers !== null) {
      if (this.#turns.first === this.#others) this.#turnOf(isStored);
      this.#turns.turn();
      this.remove(id);
      return;
    }
    this.#turnOf(isStored);
    if (isStored) {
      this.storedCount--;
      this.#stored.remove(id);
    } else {
      this.plainCount--;
      this.plain.remove(id);
    }
  }

  /** The request whose turn it is; NONE: none may start. */
  next(): RequestId {
    if (this.gate?.isOpen === false) return NONE;
    if (this.#numbers !== null) {
      const turn = this.#nextTurn();
      if (turn !== null && turn !== this.#others) return turn.head;
    }
    if (this.#stored.count === 0) return this.plain.head;
    // While both stored and plain ones wait, they take turns.
    const takesStored = this.plain.count === 0 || this.#storedTurnsLeft > 0;
    return takesStored ? this.#stored.head : this.plain.head;
  }

  /** The group whose turn it is. One whose gate was shut since it had its place, as at a takeover, has no turn. */
  #nextTurn(): Group | null {
    let turn = this.#turns.first;
    while (turn?.gate?.isOpen === false) {
      this.#exit(turn);
      turn = this.#turns.first;
    }
    return turn;
  }

  // ---------------------------------------------------------------- limits

  /** @param limits `null`: none. What is at workers is to be counted then: see `started`. */
  setLimits(limits: ServiceLimits | null): void {
    this.limits = limits;
    this.gate = this.#gateOf(this.gate, null, limits?.service ?? null);
    for (const number of this.#numbers?.values() ?? []) {
      const group = this.#groups.of(number);
      if (group === null) continue;
      group.gate = this.#gateOf(group.gate, group.key, limits?.group ?? null);
      if (group.requests === 0 && !this.#isKept(group)) this.#forget(group, number);
      else if (group.count > 0) this.#hasTurn(group);
    }
  }

  #gateOf(gate: Gate | null, group: string | null, limit: RunLimit | null): Gate | null {
    if (limit === null) {
      if (gate !== null) this.#gates.remove(gate);
      return null;
    }
    if (gate === null) return this.#gates.add(this.#service, group, limit);
    this.#gates.change(gate, limit);
    return gate;
  }

  /** A request is sent to a worker. */
  started(id: RequestId): void {
    if (this.gate !== null) this.#gates.started(this.gate);
    const gate = this.#groupOf(id)?.gate ?? null;
    if (gate !== null) this.#gates.started(gate);
  }

  /** A request was at a worker before the limits were set. */
  counted(id: RequestId): void {
    for (const gate of [this.gate, this.#groupOf(id)?.gate]) if (gate) gate.running++;
  }

  /** A worker has a request no more. */
  ended(id: RequestId): void {
    if (this.gate !== null) this.#gates.ended(this.gate);
    const gate = this.#groupOf(id)?.gate ?? null;
    if (gate !== null) this.#gates.ended(gate);
  }

  /**
   * Workers run so many more requests of a group, or fewer, than this broker has sent them.
   * @param key the bytes of its name, one character per byte; empty: those without a group
   */
  runsMore(key: string, more: number): void {
    if (this.gate !== null) this.#gates.runs(this.gate, more);
    if (key === '' || (this.limits?.group ?? null) === null) return;
    const numbers = (this.#numbers ??= new Map<string, number>());
    const group = this.#groups.of(numbers.get(key) ?? this.#addGroup(key, numbers));
    const gate = group?.gate ?? null;
    if (group === null || gate === null) return;
    if (group.requests === 0) this.#gates.reopen(gate);
    // The gate is looked at again in this turn: see `gateChanged`.
    this.#gates.runs(gate, more);
  }

  /** Whether starts that were counted keep the limits of the service, or of a group, until a bucket is full. */
  get hasCounted(): boolean {
    return this.groupCount > 0 || (this.gate !== null && this.#gates.isUsed(this.gate));
  }

  /** The service, which has no requests, is forgotten, and with it what was counted for its limits. */
  end(): void {
    for (const group of this.#numbers?.values() ?? []) {
      const kept = this.#groups.of(group);
      if (kept !== null) this.#forget(kept, group);
    }
    if (this.gate !== null) this.#gates.remove(this.gate);
    this.gate = null;
  }

  /** The gate of a group may have opened. */
  gateChanged({ group: key }: Gate): void {
    const number = this.#numbers?.get(key ?? '') ?? NONE;
    const group = this.#groups.of(number);
    if (group === null) return;
    if (group.requests === 0 && !this.#isKept(group)) this.#forget(group, number);
    else if (group.count > 0) this.#hasTurn(group);
  }

  /** Whether one more stored request of a group may be prepared, of which so many are; if not, its gate is awaited. */
  mayPrepare(key: string, prepared: number): boolean {
    if (this.limits?.group === null || this.limits === null) return true;
    const numbers = (this.#numbers ??= new Map<string, number>());
    const number = numbers.get(key) ?? this.#addGroup(key, numbers);
    const group = this.#groups.of(number);
    const gate = group?.gate ?? null;
    if (group === null || gate === null) return true;
    if (group.requests === 0) this.#gates.reopen(gate);
    // Beside plain requests that wait, one takes turns with them.
    const least = group.count > prepared ? 1 : 0;
    const mayPrepare = prepared < Math.max(least, gate.free(this.#gates.now));
    gate.isAwaited = !mayPrepare;
    if (group.requests === 0 && !this.#isKept(group)) this.#forget(group, number);
    return mayPrepare;
  }

  /** The names of groups of which nothing may start now: their gates are awaited. */
  fullGroups(most: number): string[] {
    const full: string[] = [];
    let looks = 0;
    for (const [key, number] of this.#numbers ?? []) {
      if (full.length >= most || ++looks > FULL_LOOKS_MAX) break;
      const group = this.#groups.of(number);
      const gate = group?.gate ?? null;
      if (group === null || gate === null || gate.free(this.#gates.now) > 0) continue;
      gate.isAwaited = true;
      full.push(key);
    }
    return full;
  }

  #groupOf(id: RequestId): Group | null {
    const table = this.#table;
    return table.is(id, GROUPED) ? this.#groups.of(table.beside(id, GROUP)) : null;
  }

  /** Which limit holds the requests of a group now, in words; `null`: none does. @param key empty: those without one */
  whyHeld(key: string, now: number): string | null {
    const ofService = this.gate?.whyShut(now) ?? null;
    if (ofService !== null) return `its service: ${ofService}`;
    const gate = this.#groups.of(this.#numbers?.get(key) ?? NONE)?.gate ?? null;
    const ofGroup = gate?.whyShut(now) ?? null;
    return ofGroup === null ? null : `group ${shownGroup(key)}: ${ofGroup}`;
  }

  /** Which limit holds requests that wait here, in words; `null`: none does. */
  whyAnyHeld(now: number): string | null {
    if (this.limits === null || this.count === 0) return null;
    const [longest] = this.longestHeld(now, 1);
    return this.whyHeld(longest?.key ?? '', now);
  }

  /** The groups with a limit of which most requests wait here, the longest queue first. */
  longestHeld(now: number, most: number): HeldGroup[] {
    const held: HeldGroup[] = [];
    let looks = 0;
    for (const [key, number] of this.#numbers ?? []) {
      if (++looks > LOOKS_MAX) break;
      const group = this.#groups.of(number);
      const why = group?.gate?.whyShut(now) ?? null;
      if (group === null || why === null || group.count === 0) continue;
      held.push({ key, group: shownGroup(key), why, queued: group.count });
    }
    return held.sort((a, b) => b.queued - a.queued).slice(0, most);
  }

  /** Has the group in the circle, or not, as its gate is. */
  #hasTurn(group: Group): void {
    if (group.gate?.isOpen === false) this.#exit(group);
    else this.#enter(group);
  }

  #enter(group: Group): void {
    if (group.after !== null) return;
    this.#turns.append(group);
    this.storedHeld -= group.stored;
  }

  #exit(group: Group): void {
    if (group.after === null) return;
    this.#turns.remove(group);
    this.storedHeld += group.stored;
  }

  /** A request without a group is dispatched. */
  #turnOf(isStored: boolean): void {
    if (isStored) this.#storedTurnsLeft--;
    else this.#storedTurnsLeft = this.storedOfOthers > 0 ? this.storedTurns : 1;
  }

  // ---------------------------------------------------------------- of one kind

  /** All plain requests that wait. Each may be removed when it is given. */
  *allPlain(): Generator<RequestId, undefined> {
    if (this.plainCount === 0) return;
    for (const list of [this.plain, ...this.#waitingGroups()]) {
      for (let id = list.head; id !== NONE && this.plainCount > 0;) {
        const next = list.next(id);
        if (!this.#table.is(id, STORED)) yield id;
        id = next;
      }
    }
  }

  /** All stored requests that wait. */
  allStored(): RequestId[] {
    const found: RequestId[] = [];
    if (this.storedCount === 0) return found;
    for (const list of [this.#stored, ...this.#waitingGroups()]) {
      if (found.length === this.storedCount) break;
      for (let id = list.head; id !== NONE; id = list.next(id)) {
        if (this.#table.is(id, STORED)) found.push(id);
      }
    }
    return found;
  }

  *#plainLists(): Generator<RequestList, undefined> {
    yield this.plain;
    yield* this.#waitingGroups();
  }

  /** The groups whose requests wait: those that take turns, then those that a limit holds. */
  *#waitingGroups(): Generator<Group, undefined> {
    yield* this.#turns.all();
    if (this.limits === null) return;
    for (const number of this.#numbers?.values() ?? []) {
      const group = this.#groups.of(number);
      if (group !== null && group.count > 0 && group.after === null) yield group;
    }
  }

  /** When the plain request arrived that has waited longest, in monotonic milliseconds; `null`: none waits. */
  oldestAt(): number | null {
    if (this.plainCount === 0) return null;
    let oldest = Infinity;
    let looks = 0;
    for (const list of this.#plainLists()) {
      // Stored ones may stand before its first plain one.
      for (let id = list.head; id !== NONE && looks < LOOKS_MAX; id = list.next(id)) {
        looks++;
        if (this.#table.is(id, STORED)) continue;
        oldest = Math.min(oldest, this.#table.getTime(id, ARRIVED_AT));
        break;
      }
      if (looks === LOOKS_MAX) break;
    }
    return oldest === Infinity ? null : oldest;
  }

  // ---------------------------------------------------------------- the circle

  get #hasNoOthers(): boolean {
    return this.plain.count + this.#stored.count === 0;
  }

  /** A request without a group comes, or a group is there: they take turns. */
  #othersWait(): void {
    if (this.groupCount === 0) return;
    const others = (this.#others ??= new Group(this.#table, ''));
    if (others.after === null) this.#turns.append(others);
  }
}

/** The name of a group in printable form (D3). */
function shownGroup(key: string): string {
  return escapeName(Buffer.from(key, 'latin1'));
}
