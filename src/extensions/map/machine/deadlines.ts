/** When ephemeral keys expire (D51): a deadline for each slot that has one, the next one first. */
import { IndexedHeap } from '../../../core/indexed-heap.js';

const ROOM_MIN = 64;
const NOWHERE = -1;

export class Deadlines {
  /** The deadline of each slot, in monotonic milliseconds. */
  #at = new Float64Array(ROOM_MIN);
  /** The place of each slot in the heap. */
  #places = new Int32Array(ROOM_MIN).fill(NOWHERE);
  #heap = this.#newHeap();

  #newHeap(): IndexedHeap {
    return new IndexedHeap({
      before: (a, b) => this.of(a) < this.of(b),
      moved: (slot, place) => {
        this.#places[slot] = place;
      },
    });
  }

  /** The earliest deadline, or Infinity. */
  get next(): number {
    return this.#heap.size === 0 ? Infinity : this.of(this.#heap.peek());
  }

  /** The slot with the earliest deadline, or -1. */
  get first(): number {
    return this.#heap.peek();
  }

  get size(): number {
    return this.#heap.size;
  }

  /** The deadline that was set for a slot. */
  of(slot: number): number {
    return this.#at[slot] ?? Infinity;
  }

  /** The deadline of a slot; `null`: it has none now. */
  setAt(slot: number): number | null {
    return (this.#places[slot] ?? NOWHERE) === NOWHERE ? null : this.of(slot);
  }

  set(slot: number, deadline: number): void {
    this.clear(slot);
    if (slot >= this.#at.length) this.#resize(slot);
    this.#at[slot] = deadline;
    this.#heap.push(slot);
  }

  clear(slot: number): void {
    const place = this.#places[slot] ?? NOWHERE;
    if (place !== NOWHERE) this.#heap.removeAt(place);
  }

  clearAll(): void {
    this.#places.fill(NOWHERE);
    this.#heap = this.#newHeap();
  }

  #resize(slot: number): void {
    const room = Math.max(slot + 1, this.#at.length * 2);
    const at = new Float64Array(room);
    at.set(this.#at);
    const places = new Int32Array(room).fill(NOWHERE);
    places.set(this.#places);
    this.#at = at;
    this.#places = places;
  }
}
