/** Those who wait for an answer by `titanic.wait`, by uuid and by the end of their patience. */
import { IndexedHeap } from '../core/indexed-heap.js';

interface Waiter {
  /** The broker's number of the request that is to be answered. */
  readonly id: number;
  readonly key: string;
  /** Monotonic milliseconds. */
  readonly until: number;
  place: number;
}

export class Waiters {
  readonly #waiters: (Waiter | null)[] = [];
  readonly #free: number[] = [];
  readonly #byKey = new Map<string, number[]>();
  readonly #byTime = new IndexedHeap({
    before: (a, b) => (this.#waiters[a]?.until ?? 0) < (this.#waiters[b]?.until ?? 0),
    moved: (item, place) => {
      const waiter = this.#waiters[item];
      if (waiter) waiter.place = place;
    },
  });

  /** When the next one runs out of patience; Infinity for never. */
  get dueAt(): number {
    return this.#waiters[this.#byTime.peek()]?.until ?? Infinity;
  }

  add(uuid: Buffer, id: number, until: number): void {
    const key = uuid.toString('latin1');
    const number = this.#free.pop() ?? this.#waiters.length;
    this.#waiters[number] = { id, key, until, place: -1 };
    this.#byTime.push(number);
    const others = this.#byKey.get(key);
    if (others === undefined) this.#byKey.set(key, [number]);
    else others.push(number);
  }

  /** Takes out all who wait for a uuid. Returns the numbers of their requests. */
  takeOf(uuid: Buffer): number[] {
    if (this.#byKey.size === 0) return [];
    const key = uuid.toString('latin1');
    const numbers = this.#byKey.get(key) ?? [];
    this.#byKey.delete(key);
    return numbers.map((number) => this.#remove(number));
  }

  /** Takes out all who wait for a uuid, with the end of their patience. */
  takeWithPatience(uuid: Buffer): { readonly id: number; readonly until: number }[] {
    const numbers = this.#byKey.get(uuid.toString('latin1')) ?? [];
    const untils = numbers.map((number) => this.#waiters[number]?.until ?? 0);
    return this.takeOf(uuid).map((id, at) => ({ id, until: untils[at] ?? 0 }));
  }

  has(uuid: Buffer): boolean {
    return this.#byKey.has(uuid.toString('latin1'));
  }

  /** Takes out all whose time is up: the numbers of their requests, and for what they waited. */
  takeDue(now: number): { readonly id: number; readonly uuid: Buffer }[] {
    const due: { readonly id: number; readonly uuid: Buffer }[] = [];
    while (this.dueAt <= now) {
      const number = this.#byTime.peek();
      const key = this.#waiters[number]?.key ?? '';
      const others = this.#byKey.get(key) ?? [];
      if (others.length === 1) this.#byKey.delete(key);
      else others.splice(others.indexOf(number), 1);
      due.push({ id: this.#remove(number), uuid: Buffer.from(key, 'latin1') });
    }
    return due;
  }

  #remove(number: number): number {
    const waiter = this.#waiters[number];
    if (!waiter) return -1;
    this.#byTime.removeAt(waiter.place);
    this.#waiters[number] = null;
    this.#free.push(number);
    return waiter.id;
  }
}
