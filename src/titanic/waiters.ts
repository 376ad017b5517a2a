/** Those who wait for an answer by `titanic.wait`, by uuid and by the end of their patience. */
import type { Asker } from '../broker/ports.js';
import { IndexedHeap } from '../core/indexed-heap.js';
import { ownerOf } from './belonging.js';
import type { Owner, RequestUuid } from './store.js';

/** Somebody who asks for a stored request. */
export interface Asking {
  /** The broker's number of the request that is to be answered. */
  readonly id: number;
  readonly asker: Asker;
  readonly uuid: RequestUuid;
  /** Until when they wait for what is pending: monotonic milliseconds. */
  readonly until: number;
}

interface Waiter {
  readonly asking: Asking;
  readonly key: string;
  place: number;
}

export class Waiters {
  readonly #waiters: (Waiter | null)[] = [];
  readonly #free: number[] = [];
  /** By uuid, and by the owner as whom they wait. */
  readonly #byKey = new Map<string, Map<Owner, Set<number>>>();
  /** How many each identity has. */
  readonly #counts = new Map<string, number>();
  readonly #byTime = new IndexedHeap({
    before: (a, b) => this.#untilOf(a) < this.#untilOf(b),
    moved: (item, place) => {
      const waiter = this.#waiters[item];
      if (waiter) waiter.place = place;
    },
  });

  #untilOf(number: number): number {
    return this.#waiters[number]?.asking.until ?? Infinity;
  }

  /** When the next one runs out of patience; Infinity for never. */
  get dueAt(): number {
    return this.#untilOf(this.#byTime.peek());
  }

  countOf(identity: string): number {
    return this.#counts.get(identity) ?? 0;
  }

  add(asking: Asking): void {
    const key = asking.uuid.toString('latin1');
    const number = this.#free.pop() ?? this.#waiters.length;
    this.#waiters[number] = { asking, key, place: -1 };
    this.#byTime.push(number);
    const { identity } = asking.asker;
    this.#counts.set(identity, this.countOf(identity) + 1);
    const byOwner = this.#byKey.get(key) ?? new Map<Owner, Set<number>>();
    const owner = ownerOf(asking.asker);
    const others = byOwner.get(owner);
    if (others === undefined) byOwner.set(owner, new Set([number]));
    else others.add(number);
    this.#byKey.set(key, byOwner);
  }

  /** Takes out all who wait for a uuid, or those of them who wait as one of these owners. */
  takeOf(uuid: Buffer, owners?: readonly Owner[]): Asking[] {
    if (this.#byKey.size === 0) return [];
    const byOwner = this.#byKey.get(uuid.toString('latin1'));
    if (byOwner === undefined) return [];
    const numbers = [...(owners ?? byOwner.keys())].flatMap((owner) => [
      ...(byOwner.get(owner) ?? []),
    ]);
    return numbers.flatMap((number) => this.#remove(number) ?? []);
  }

  has(uuid: Buffer): boolean {
    return this.#byKey.has(uuid.toString('latin1'));
  }

  /** Takes out those whose time is up, so many at most. */
  takeDue(now: number, most: number): Asking[] {
    const due: Asking[] = [];
    while (due.length < most && this.dueAt <= now) {
      const asking = this.#remove(this.#byTime.peek());
      if (asking !== null) due.push(asking);
    }
    return due;
  }

  #remove(number: number): Asking | null {
    const waiter = this.#waiters[number];
    if (!waiter) return null;
    const { key, asking } = waiter;
    this.#byTime.removeAt(waiter.place);
    this.#waiters[number] = null;
    this.#free.push(number);
    const byOwner = this.#byKey.get(key);
    const owner = ownerOf(asking.asker);
    const others = byOwner?.get(owner);
    others?.delete(number);
    if (others?.size === 0) byOwner?.delete(owner);
    if (byOwner?.size === 0) this.#byKey.delete(key);
    const { identity } = asking.asker;
    const left = this.countOf(identity) - 1;
    if (left > 0) this.#counts.set(identity, left);
    else this.#counts.delete(identity);
    return asking;
  }
}
