/** The schedules that a node knows: by uuid, by owner and name, and in the order of their due times. */
import { present } from '../../core/assert.js';
import { escapeName } from '../../core/escape.js';
import { IndexedHeap } from '../../core/indexed-heap.js';
import type { Owner, RequestUuid, StoredRequest } from '../store/store.js';

/** What its body says of a schedule, without the options and the body of its requests. */
export interface ScheduleFacts {
  readonly name: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly service: Buffer;
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
  /** `null`: its body is not read yet, or cannot be read. */
  facts: ScheduleFacts | null = null;
  /** Its place in the heap of those that wait until they are due; -1: it is not in it. */
  place = -1;
  /** It is being read or stored because it is due. */
  isDue = false;
  /** It is being ended: it is not due any more. */
  isEnding = false;
  isGone = false;

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

export class ScheduleTable {
  readonly #bySlot: (Schedule | null)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #byUuid = new Map<string, Schedule>();
  readonly #byName = new Map<string, Schedule>();
  readonly #countOf = new Map<Owner, number>();
  readonly #waiting = new IndexedHeap({
    before: (a, b) => this.#at(a).due < this.#at(b).due,
    moved: (slot, place) => {
      this.#at(slot).place = place;
    },
  });

  #at(slot: number): Schedule {
    return present(this.#bySlot[slot], 'a schedule that waits');
  }

  get size(): number {
    return this.#byUuid.size;
  }

  /** How many one owner has. */
  countOf(owner: Owner): number {
    return this.#countOf.get(owner) ?? 0;
  }

  find(uuid: RequestUuid): Schedule | null {
    return this.#byUuid.get(uuid.toString('latin1')) ?? null;
  }

  named(owner: Owner, name: string): Schedule | null {
    return this.#byName.get(nameKey(owner, name)) ?? null;
  }

  /** All of an owner whose facts are known, by name. */
  ofOwner(owner: Owner): Schedule[] {
    return this.all().filter((each) => each.owner === owner);
  }

  /** All whose facts are known, by name. */
  all(): Schedule[] {
    const nameOf = ({ facts }: Schedule): string => facts?.name ?? '';
    return [...this.#byName.values()].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  }

  add(request: StoredRequest): Schedule {
    const slot = this.#freeSlots.pop() ?? this.#bySlot.length;
    const schedule = new Schedule(slot, request);
    this.#bySlot[slot] = schedule;
    this.#byUuid.set(request.uuid.toString('latin1'), schedule);
    this.#countOf.set(request.owner, this.countOf(request.owner) + 1);
    return schedule;
  }

  /**
   * Its facts have become known.
   * @returns the older one of the same owner and name, which has to end
   */
  name(schedule: Schedule, facts: ScheduleFacts): Schedule | null {
    const known = this.named(schedule.owner, facts.name);
    schedule.facts = facts;
    if (known === schedule) return null;
    const loser = known !== null && isYounger(known, schedule) ? schedule : known;
    if (loser !== schedule) this.#byName.set(nameKey(schedule.owner, facts.name), schedule);
    return loser;
  }

  remove(schedule: Schedule): void {
    if (schedule.isGone) return;
    schedule.isGone = true;
    this.hold(schedule);
    this.#bySlot[schedule.slot] = null;
    this.#freeSlots.push(schedule.slot);
    this.#byUuid.delete(schedule.uuid.toString('latin1'));
    const count = this.countOf(schedule.owner) - 1;
    if (count === 0) this.#countOf.delete(schedule.owner);
    else this.#countOf.set(schedule.owner, count);
    const { owner, facts } = schedule;
    if (facts === null || this.named(owner, facts.name) !== schedule) return;
    this.#byName.delete(nameKey(owner, facts.name));
  }

  /** It waits until it is due, unless it is just due, ending or gone. */
  wait(schedule: Schedule): void {
    this.hold(schedule);
    const { isDue, isEnding, isGone } = schedule;
    if (!isDue && !isEnding && !isGone) this.#waiting.push(schedule.slot);
  }

  hold({ place }: Schedule): void {
    if (place >= 0) this.#waiting.removeAt(place);
  }

  /** Takes out the next one that is due, or returns `null`. @param wall milliseconds since 1970 */
  takeDue(wall: number): Schedule | null {
    return this.dueAt > wall ? null : this.#at(this.#waiting.pop());
  }

  /** When the next one is due: wall milliseconds; Infinity for never. */
  get dueAt(): number {
    const first = this.#waiting.peek();
    return first < 0 ? Infinity : this.#at(first).due;
  }
}

/** Both nodes of a pair choose the same one. */
function isYounger(a: Schedule, b: Schedule): boolean {
  return (a.acceptedAt - b.acceptedAt || a.uuid.compare(b.uuid)) > 0;
}

function nameKey(owner: Owner, name: string): string {
  return `${owner.length} ${owner}${name}`;
}
