/**
 * The schedules that a node knows: by uuid, by owner and name, and what each holds in its state (see
 * `schedule-fsm.ts`).
 */
import { present } from '../../../core/assert.js';
import { ownCopy } from '../../../core/bytes.js';
import { Chain, ChainLink } from '../../../core/chain.js';
import { escapeName } from '../../../core/escape.js';
import { IndexedHeap } from '../../../core/indexed-heap.js';
import {
  type Event,
  HELD,
  type Held,
  next,
  type State,
  type Table,
  TABLE,
} from './schedule-fsm.js';
import type { DueFault, DueTimes } from './due-times.js';
import type { TitanicEnd } from '../requests/events.js';
import type { Outcome } from '../../../store/outcomes.js';
import {
  ANY_OWNER,
  type Change,
  type Owner,
  type RequestUuid,
  type StoredRequest,
} from '../../../store/store.js';

/** What a schedule has of its own: all but the options and the body of its requests. */
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
export function perHourOf({ times }: ScheduleFacts): number {
  return 'fault' in times ? 0 : times.perHour;
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
  /** How often it was due. */
  attempts: number;
  /** Size of its next request, with its headers; 0 until its body has been read because it was due. */
  requestBytes = 0;
  /** What became of its last due time, and when that was: see outcomes.ts. */
  outcome: number;
  outcomeAt: number;
  /** The request of that time, as a key of `TitanicContext.scheduled`; `null`: there is none, or another process stored it. */
  request: string | null = null;
  /** How that request ended; `null`: it is not known to have ended. */
  ending: Outcome | null = null;
  readonly facts: ScheduleFacts;
  state: State = 'RESTING';
  /** The number of this broker's claim; `null`: another one may store what it is due for; 0: the store is not shared. */
  claim: number | null;
  /** The last list of all schedules that it was in. */
  listed = 0;
  /** Position in the heap of those that wait; -1: it is not in it. */
  place = -1;
  /** Link among those of its owner whose due time has come, or among the delayed. */
  readonly turn: ChainLink<Schedule> = new ChainLink(this);
  /** Until when a delayed one waits, in monotonic milliseconds. */
  delayedUntil = 0;

  constructor(slot: number, request: StoredRequest, facts: ScheduleFacts, claim: number | null) {
    this.slot = slot;
    this.facts = facts;
    this.claim = claim;
    this.uuid = ownCopy(request.uuid);
    this.owner = request.owner;
    this.generation = request.generation;
    this.acceptedAt = request.acceptedAt;
    this.bodyBytes = request.bodyBytes;
    this.due = request.notBefore;
    this.attempts = request.attempts;
    this.outcome = request.outcome;
    this.outcomeAt = request.outcomeAt;
  }

  /** A dead request may be tried again; whoever closes one that had ended changes nothing of that. */
  requestEnded(outcome: TitanicEnd): void {
    if (outcome !== 'closed') this.ending = outcome;
    else this.ending ??= 'cancelled';
  }

  /** How events name it. */
  get named(): {
    readonly schedule: string;
    readonly service: string;
    readonly key: string | null;
  } {
    const { name, service } = this.facts;
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
  /** How many there are, with those that have lost their names. */
  count = 0;
  /** How often they are due in their busiest hours, together. */
  perHour = 0;
  readonly byName = new Map<string, Schedule>();
  /** The schedules by name; `null`: the list is to be made again. */
  sorted: readonly Schedule[] | null = null;
  /** All that are DUE. */
  readonly due = new Chain<Schedule>();
  /** The place of this owner among those that have DUE schedules. */
  readonly turn: ChainLink<Owned> = new ChainLink(this);
}

export class ScheduleTable {
  readonly #bySlot: (Schedule | null)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #byUuid = new Map<string, Schedule>();
  readonly #byOwner = new Map<Owner, Owned>();
  readonly #fsm: Table;
  /** All that are WAITING. */
  readonly #waiting = new IndexedHeap({
    before: (a, b) => this.#at(a).due < this.#at(b).due,
    moved: (slot, place) => {
      this.#at(slot).place = place;
    },
  });

  /** Owners of those that are DUE, in the order of their turns. */
  readonly #turns = new Chain<Owned>();
  /** All that are DELAYED, in the order in which they are tried again. */
  readonly #delayed = new Chain<Schedule>();
  /** How many are being read or stored because they are due, and the bytes of their bodies. */
  inFlight = 0;
  inFlightBytes = 0;

  constructor(fsm: Table = TABLE) {
    this.#fsm = fsm;
  }

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

  /** All of an owner, by name. */
  ofOwner(owner: Owner): readonly Schedule[] {
    const owned = this.#byOwner.get(owner);
    if (owned === undefined) return [];
    owned.sorted ??= sortedByName(owned.byName.values());
    return owned.sorted;
  }

  /** All, with those that have lost their names. */
  get whole(): Schedule[] {
    return [...this.#byUuid.values()];
  }

  /** All that have a name, in no order. */
  *all(): Iterable<Schedule> {
    for (const { byName } of this.#byOwner.values()) yield* byName.values();
  }

  /** Adds one that rests, without its name. @param claim see `Schedule.claim` */
  add(request: StoredRequest, facts: ScheduleFacts, claim: number | null): Schedule {
    const slot = this.#freeSlots.pop() ?? this.#bySlot.length;
    const schedule = new Schedule(slot, request, facts, claim);
    this.#bySlot[slot] = schedule;
    this.#byUuid.set(request.uuid.toString('latin1'), schedule);
    const owned = this.#byOwner.get(request.owner) ?? new Owned();
    owned.count++;
    owned.perHour += perHourOf(facts);
    this.#byOwner.set(request.owner, owned);
    return schedule;
  }

  /**
   * Enters a schedule under its name.
   * @returns the older one of the same owner and name, which has to end
   */
  name(schedule: Schedule): Schedule | null {
    const { owner, facts } = schedule;
    const known = this.named(owner, facts.name);
    const owned = this.#of(owner);
    if (known === schedule) return null;
    const loser = known !== null && isYounger(known, schedule) ? schedule : known;
    if (loser === schedule) return loser;
    owned.byName.set(facts.name, schedule);
    owned.sorted = null;
    return loser;
  }

  // ---------------------------------------------------------------- the table of states

  /** @param due when the schedule is due from then on */
  step(schedule: Schedule, event: Event, due = schedule.due): void {
    const { state } = schedule;
    const to = next(state, event, this.#fsm);
    if (to === state && (due === schedule.due || to === 'GONE')) return;
    this.#exchange(schedule, HELD[state], -1);
    schedule.state = to;
    schedule.due = due;
    this.#exchange(schedule, HELD[to], 1);
    if (to === 'GONE') this.#forget(schedule);
    // The claim may have come or gone while the outcome was awaited.
    else if (to === 'RESTING' && schedule.claim !== null) this.step(schedule, 'claimed');
    else if (to === 'DELAYED' && schedule.claim === null) this.step(schedule, 'disowned');
  }

  /** @param change 1: it takes what its state holds; -1: it gives that back */
  #exchange(schedule: Schedule, held: Held | undefined, change: 1 | -1): void {
    const { slot, place, turn, owner, bodyBytes } = schedule;
    if (held === 'room') {
      this.inFlight += change;
      this.inFlightBytes += change * bodyBytes;
    } else if (held === 'heap') {
      if (change > 0) this.#waiting.push(slot);
      else this.#waiting.removeAt(place);
    } else if (change < 0) {
      turn.leave();
      if (held === 'turn' && this.#of(owner).due.head === null) this.#of(owner).turn.leave();
    } else if (held === 'delay') {
      this.#delayed.append(turn);
    } else if (held === 'turn') {
      const owned = this.#of(owner);
      owned.due.append(turn);
      if (owned.turn.chain === null) this.#turns.append(owned.turn);
    }
  }

  #forget(schedule: Schedule): void {
    this.#bySlot[schedule.slot] = null;
    this.#freeSlots.push(schedule.slot);
    this.#byUuid.delete(schedule.uuid.toString('latin1'));
    const { owner, facts } = schedule;
    const owned = this.#of(owner);
    owned.count--;
    owned.perHour -= perHourOf(facts);
    if (owned.byName.get(facts.name) === schedule) {
      owned.byName.delete(facts.name);
      owned.sorted = null;
    }
    if (owned.count === 0) this.#byOwner.delete(owner);
  }

  /** A turn. @param wall milliseconds since 1970 */
  becomeDue(wall: number): void {
    for (let left = TURN_MAX; left > 0 && this.#nextAt <= wall; left--) {
      this.step(this.#at(this.#waiting.peek()), 'come');
    }
  }

  /** The next one that is DUE, of the owner whose turn it is; `null`: there is none. */
  nextDue(): Schedule | null {
    const owned = this.#turns.head?.owner;
    if (owned !== undefined) this.#turns.append(owned.turn);
    return owned?.due.head?.owner ?? null;
  }

  /** The first one that is DELAYED; `null`: there is none. */
  get firstDelayed(): Schedule | null {
    return this.#delayed.head?.owner ?? null;
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

/** The change that ends a schedule, or a pause. @param at wall milliseconds */
export function closeOf({ uuid }: Pick<Schedule, 'uuid'>, at: number): Change {
  return { kind: 'close', uuid, at, keyUntil: at, by: ANY_OWNER };
}

/** Both nodes of a pair choose the same one. */
function isYounger(a: Schedule, b: Schedule): boolean {
  return (a.acceptedAt - b.acceptedAt || a.uuid.compare(b.uuid)) > 0;
}

function sortedByName(schedules: Iterable<Schedule>): Schedule[] {
  return [...schedules].sort((a, b) => (a.facts.name < b.facts.name ? -1 : 1));
}
