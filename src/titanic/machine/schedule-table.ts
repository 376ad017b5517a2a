/** The schedules that a node knows: by uuid, by owner and name, and in the order of their due times. */
import { present } from '../../core/assert.js';
import { Chain, ChainLink } from '../../core/chain.js';
import { escapeName } from '../../core/escape.js';
import { IndexedHeap } from '../../core/indexed-heap.js';
import type { DueFault, DueTimes } from './due-times.js';
import type { Owner, RequestUuid, StoredRequest } from '../../store/store.js';

/** What its body says of a schedule, without the options and the body of its requests. */
export interface ScheduleFacts {
  readonly name: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly service: Buffer;
  /** Read once. (Another node, or a later version of Node.js, may know a time zone that this one does not.) */
  readonly times: DueTimes | DueFault;
}

/** How many of those that wait become due in a turn. */
const TURN_MAX = 2048;

/** How often it is due in its busiest hour. */
export function perHourOf(facts: ScheduleFacts | null): number {
  return facts === null || 'fault' in facts.times ? 0 : facts.times.perHour;
}

export class Schedule {
  readonly slot: number;
  readonly uuid: RequestUuid;
  readonly owner: Owner;
  readonly generation: number;
  /** Wall milliseconds. */
  readonly acceptedAt: number;
  readonly bodyBytes: number;
  /** Wall milliseconds: when it is due next. */
  due: number;
  /** How often it was due; each is stored as an attempt. */
  attempts: number;
  /** Size of its next request, with its headers; 0 until its body has been read because it was due. */
  requestBytes = 0;
  /** `null`: its body is not read yet, or cannot be read. */
  facts: ScheduleFacts | null = null;
  /** Its place in the heap of those that wait until they are due; -1: it is not in it. */
  place = -1;
  /** Its place among those of its owner whose due time has come. */
  readonly turn: ChainLink<Schedule> = new ChainLink(this);
  /** It is being read or stored because it is due. */
  isDue = false;
  /** What it is due for is on its way to the store. */
  isStoring = false;
  /** It is being ended: it is not due any more. */
  isEnding = false;
  isGone = false;
  /** This broker stores what it is due for: it has claimed it, or no other broker uses the store. */
  isMine = true;
  /** The number of its claim; 0: none. */
  claim = 0;
  /** The last list of all schedules that it was in. */
  listed = 0;

  constructor(slot: number, request: StoredRequest) {
    this.slot = slot;
    this.uuid = Buffer.from(request.uuid);
    this.owner = request.owner;
    this.generation = request.generation;
    this.acceptedAt = request.acceptedAt;
    this.bodyBytes = request.bodyBytes;
    this.due = request.notBefore;
    this.attempts = request.attempts;
  }

  get isWaiting(): boolean {
    return this.place >= 0 || this.turn.chain !== null;
  }

  /** How events name it. */
  get named(): {
    readonly schedule: string;
    readonly service: string;
    readonly key: string | null;
  } {
    const { name = '', service = Buffer.alloc(0) } = this.facts ?? {};
    return {
      schedule: escapeName(Buffer.from(name)),
      service: escapeName(service),
      key: keyOf(this.owner),
    };
  }
}

/** The name of an owner's key; `null`: it has none. */
export function keyOf(owner: Owner): string | null {
  return owner.startsWith('key:') ? owner.slice('key:'.length) : null;
}

/** What one owner has. */
class Owned {
  /** How many there are, with those whose facts are not known yet. */
  count = 0;
  /** How often those whose facts are known are due in their busiest hours, together. */
  perHour = 0;
  readonly byName = new Map<string, Schedule>();
  /** By name; `null`: it is to be made again. */
  sorted: readonly Schedule[] | null = null;
  /** Those whose due time has come. */
  readonly due = new Chain<Schedule>();
  /** Its place among the owners of such. */
  readonly turn: ChainLink<Owned> = new ChainLink(this);
}

export class ScheduleTable {
  readonly #bySlot: (Schedule | null)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #byUuid = new Map<string, Schedule>();
  readonly #byOwner = new Map<Owner, Owned>();
  /** Those whose due time has not come. */
  readonly #waiting = new IndexedHeap({
    before: (a, b) => this.#at(a).due < this.#at(b).due,
    moved: (slot, place) => {
      this.#at(slot).place = place;
    },
  });

  /** Owners of those whose due time has come, in the order of their turns. */
  readonly #turns = new Chain<Owned>();

  #at(slot: number): Schedule {
    return present(this.#bySlot[slot], 'a schedule that waits');
  }

  #of(owner: Owner): Owned {
    return present(this.#byOwner.get(owner), 'the owner of a schedule');
  }

  get size(): number {
    return this.#byUuid.size;
  }

  /** How many one owner has. */
  countOf(owner: Owner): number {
    return this.#byOwner.get(owner)?.count ?? 0;
  }

  /** How often the owner's schedules are due in their busiest hours, together. */
  perHourOf(owner: Owner): number {
    return this.#byOwner.get(owner)?.perHour ?? 0;
  }

  find(uuid: RequestUuid): Schedule | null {
    return this.#byUuid.get(uuid.toString('latin1')) ?? null;
  }

  named(owner: Owner, name: string): Schedule | null {
    return this.#byOwner.get(owner)?.byName.get(name) ?? null;
  }

  /** All of an owner whose facts are known, by name. */
  ofOwner(owner: Owner): readonly Schedule[] {
    const owned = this.#byOwner.get(owner);
    if (owned === undefined) return [];
    owned.sorted ??= sortedByName(owned.byName.values());
    return owned.sorted;
  }

  /** All, with those whose facts are not known. */
  get whole(): readonly Schedule[] {
    return [...this.#byUuid.values()];
  }

  /** All whose facts are known, in no order. */
  *all(): Iterable<Schedule> {
    for (const { byName } of this.#byOwner.values()) yield* byName.values();
  }

  add(request: StoredRequest): Schedule {
    const slot = this.#freeSlots.pop() ?? this.#bySlot.length;
    const schedule = new Schedule(slot, request);
    this.#bySlot[slot] = schedule;
    this.#byUuid.set(request.uuid.toString('latin1'), schedule);
    const owned = this.#byOwner.get(request.owner) ?? new Owned();
    owned.count++;
    this.#byOwner.set(request.owner, owned);
    return schedule;
  }

  /**
   * Its facts have become known.
   * @returns the older one of the same owner and name, which has to end
   */
  name(schedule: Schedule, facts: ScheduleFacts): Schedule | null {
    const known = this.named(schedule.owner, facts.name);
    const owned = this.#of(schedule.owner);
    owned.perHour += perHourOf(facts) - perHourOf(schedule.facts);
    schedule.facts = facts;
    if (known === schedule) return null;
    const loser = known !== null && isYounger(known, schedule) ? schedule : known;
    if (loser === schedule) return loser;
    owned.byName.set(facts.name, schedule);
    owned.sorted = null;
    return loser;
  }

  /** Its facts are to be read again. */
  unname(schedule: Schedule): void {
    const { owner, facts } = schedule;
    const owned = this.#of(owner);
    owned.perHour -= perHourOf(facts);
    schedule.facts = null;
  }

  remove(schedule: Schedule): void {
    if (schedule.isGone) return;
    schedule.isGone = true;
    this.hold(schedule);
    this.#bySlot[schedule.slot] = null;
    this.#freeSlots.push(schedule.slot);
    this.#byUuid.delete(schedule.uuid.toString('latin1'));
    const { owner, facts } = schedule;
    const owned = this.#of(owner);
    owned.count--;
    owned.perHour -= perHourOf(facts);
    if (facts !== null && owned.byName.get(facts.name) === schedule) {
      owned.byName.delete(facts.name);
      owned.sorted = null;
    }
    if (owned.count === 0) this.#byOwner.delete(owner);
  }

  /** It waits until it is due, unless it is just due, ending or gone, or its facts are not known. */
  wait(schedule: Schedule): void {
    this.hold(schedule);
    const { facts, isDue, isEnding, isGone, isMine } = schedule;
    if (!isMine || facts === null || isDue || isEnding || isGone) return;
    this.#waiting.push(schedule.slot);
  }

  hold({ owner, place, turn }: Schedule): void {
    if (place >= 0) this.#waiting.removeAt(place);
    if (turn.chain === null) return;
    turn.leave();
    const owned = this.#of(owner);
    if (owned.due.head === null) owned.turn.leave();
  }

  /** A turn. @param wall milliseconds since 1970 */
  becomeDue(wall: number): void {
    for (let left = TURN_MAX; left > 0 && this.#nextAt <= wall; left--) {
      const schedule = this.#at(this.#waiting.pop());
      const owned = this.#of(schedule.owner);
      owned.due.append(schedule.turn);
      if (owned.turn.chain === null) this.#turns.append(owned.turn);
    }
  }

  /** Takes out one whose due time has come, of the owner whose turn it is; `null`: there is none. */
  takeDue(): Schedule | null {
    const owned = this.#turns.head?.owner;
    const schedule = owned?.due.head?.owner;
    if (owned === undefined || schedule === undefined) return null;
    this.#turns.append(owned.turn);
    this.hold(schedule);
    return schedule;
  }

  /** When the next one is due: wall milliseconds; Infinity for never, -Infinity if it is. */
  get dueAt(): number {
    return this.#turns.head === null ? this.#nextAt : -Infinity;
  }

  /** When the next due time comes. */
  get #nextAt(): number {
    const first = this.#waiting.peek();
    return first < 0 ? Infinity : this.#at(first).due;
  }
}

/** Both nodes of a pair choose the same one. */
function isYounger(a: Schedule, b: Schedule): boolean {
  return (a.acceptedAt - b.acceptedAt || a.uuid.compare(b.uuid)) > 0;
}

function sortedByName(schedules: Iterable<Schedule>): Schedule[] {
  return [...schedules].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

export function nameOf({ facts }: Schedule): string {
  return facts?.name ?? '';
}
