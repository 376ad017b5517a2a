/** Clients that wait for an answer by `titanic.wait`, `titanic.call` or `titanic.progress`, by uuid and by the end of their wait. */
import type { Asker } from '../../../broker/ports.js';
import { IndexedHeap } from '../../../core/indexed-heap.js';
import { tailOf } from '../../../store/hint-codec.js';
import type { RequestUuid } from '../../../store/store.js';
import type { PartsCursor } from './parts.js';
import type { AnswerNumber } from './store-waits.js';

/** A client's query for the reply to a stored request. */
export interface ReplyQuery {
  readonly id: AnswerNumber;
  readonly asker: Asker;
  readonly uuid: RequestUuid;
  /** Until when it waits for a pending request: monotonic milliseconds. */
  readonly until: number;
  /** What a client of `titanic.progress` has read so far; `null`: it asks for the reply. */
  readonly cursor: PartsCursor | null;
}

interface Waiter {
  readonly query: ReplyQuery;
  readonly key: string;
  place: number;
}

export class Waiters {
  readonly #waiters: (Waiter | null)[] = [];
  readonly #free: number[] = [];
  readonly #byKey = new Map<string, Set<number>>();
  /** The keys by their last bytes. */
  readonly #byTail = new Map<string, Set<string>>();
  /** How many wait for each identity. */
  readonly #counts = new Map<string, number>();
  readonly #byTime = new IndexedHeap({
    before: (a, b) => this.#untilOf(a) < this.#untilOf(b),
    moved: (item, place) => {
      const waiter = this.#waiters[item];
      if (waiter) waiter.place = place;
    },
  });

  #untilOf(number: number): number {
    return this.#waiters[number]?.query.until ?? Infinity;
  }

  /** When the next wait ends; Infinity for never. */
  get dueAt(): number {
    return this.#untilOf(this.#byTime.peek());
  }

  countOf(identity: string): number {
    return this.#counts.get(identity) ?? 0;
  }

  add(query: ReplyQuery): void {
    const key = query.uuid.toString('latin1');
    const number = this.#free.pop() ?? this.#waiters.length;
    this.#waiters[number] = { query, key, place: -1 };
    this.#byTime.push(number);
    const { identity } = query.asker;
    this.#counts.set(identity, this.countOf(identity) + 1);
    const others = this.#byKey.get(key);
    if (others !== undefined) {
      others.add(number);
      return;
    }
    this.#byKey.set(key, new Set([number]));
    const tail = tailOf(query.uuid).toString('latin1');
    const keys = this.#byTail.get(tail);
    if (keys === undefined) this.#byTail.set(tail, new Set([key]));
    else keys.add(key);
  }

  /** Takes out all that wait for a uuid. */
  takeOf(uuid: Buffer): ReplyQuery[] {
    if (this.#byKey.size === 0) return [];
    const key = uuid.toString('latin1');
    const numbers = [...(this.#byKey.get(key) ?? [])];
    return numbers.flatMap((number) => this.#remove(number) ?? []);
  }

  has(uuid: Buffer): boolean {
    return this.#byKey.has(uuid.toString('latin1'));
  }

  /** The uuids that somebody waits for and that end in these bytes. */
  endingIn(tail: Buffer): RequestUuid[] {
    const keys = this.#byTail.get(tail.toString('latin1')) ?? [];
    return [...keys].map((key) => Buffer.from(key, 'latin1'));
  }

  /** The uuids that somebody waits for. */
  uuids(): RequestUuid[] {
    return [...this.#byKey.keys()].map((key) => Buffer.from(key, 'latin1'));
  }

  /** Takes out those whose wait has ended, up to a maximum. */
  takeDue(now: number, most: number): ReplyQuery[] {
    const due: ReplyQuery[] = [];
    while (due.length < most && this.dueAt <= now) {
      const query = this.#remove(this.#byTime.peek());
      if (query !== null) due.push(query);
    }
    return due;
  }

  #remove(number: number): ReplyQuery | null {
    const waiter = this.#waiters[number];
    if (!waiter) return null;
    const { key, query } = waiter;
    this.#byTime.removeAt(waiter.place);
    this.#waiters[number] = null;
    this.#free.push(number);
    const others = this.#byKey.get(key);
    others?.delete(number);
    if (others?.size === 0) this.#forget(key, query.uuid);
    const { identity } = query.asker;
    const left = this.countOf(identity) - 1;
    if (left > 0) this.#counts.set(identity, left);
    else this.#counts.delete(identity);
    return query;
  }

  #forget(key: string, uuid: RequestUuid): void {
    this.#byKey.delete(key);
    const tail = tailOf(uuid).toString('latin1');
    const keys = this.#byTail.get(tail);
    keys?.delete(key);
    if (keys?.size === 0) this.#byTail.delete(tail);
  }
}
