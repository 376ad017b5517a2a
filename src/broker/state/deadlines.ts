/**
 * Times at which something is due for some requests: until when their clients wait (D68), or when it is certain that
 * nobody serves them (D65). Most requests have none, so it is no field of theirs; the number of its entry is one.
 */
import type { MemoryAccount } from '../../core/holdings.js';
import { IndexedHeap } from '../../core/indexed-heap.js';
import { NONE, type RequestId, type RequestTable } from './request-table.js';

/** Memory that an entry takes. */
const ENTRY_BYTES = 64;
/** How many entries there is room for at first. */
const ROOM_MIN = 16;

export class Deadlines {
  readonly #table: RequestTable;
  readonly #flag: number;
  readonly #field: number;
  // Objects, and a map of them, cost half of what a request with a deadline did.
  // By the number of an entry: when it is due, in monotonic milliseconds, its place in the heap, or -1, and whose it is.
  #at = new Float64Array(ROOM_MIN);
  #place = new Int32Array(ROOM_MIN);
  #ids = new Int32Array(ROOM_MIN);
  #memories: (MemoryAccount | null)[] = [];
  readonly #free: number[] = [];
  readonly #heap = new IndexedHeap({
    before: (a, b) => (this.#at[a] ?? 0) < (this.#at[b] ?? 0),
    moved: (entry, place) => {
      this.#place[entry] = place;
    },
  });

  /**
   * @param flag of the requests that have one
   * @param field beside their records: the number of the entry
   */
  constructor(table: RequestTable, flag: number, field: number) {
    this.#table = table;
    this.#flag = flag;
    this.#field = field;
  }

  /** @param at monotonic milliseconds @param memory of the client */
  keep(id: RequestId, at: number, memory: MemoryAccount): void {
    memory.add('requests', ENTRY_BYTES);
    const entry = this.#free.pop() ?? this.#memories.length;
    if (entry === this.#at.length) this.#resize(2 * entry);
    this.#at[entry] = at;
    this.#ids[entry] = id;
    this.#memories[entry] = memory;
    this.#table.setBeside(id, this.#field, entry);
    this.#heap.push(entry);
    this.#table.raise(id, this.#flag);
  }

  #resize(room: number): void {
    const [at, place, ids] = [this.#at, this.#place, this.#ids];
    const kept = Math.min(room, at.length);
    this.#at = new Float64Array(room);
    this.#at.set(at.subarray(0, kept));
    this.#place = new Int32Array(room);
    this.#place.set(place.subarray(0, kept));
    this.#ids = new Int32Array(room);
    this.#ids.set(ids.subarray(0, kept));
  }

  /** The deadline of a request, in monotonic milliseconds; Infinity: it has none. */
  of(id: RequestId): number {
    if (!this.#table.is(id, this.#flag)) return Infinity;
    return this.#at[this.#table.beside(id, this.#field)] ?? Infinity;
  }

  /** The earliest, in monotonic milliseconds; Infinity: there is none. */
  get earliest(): number {
    return this.#heap.size === 0 ? Infinity : (this.#at[this.#heap.peek()] ?? Infinity);
  }

  /** Takes the request whose deadline comes first off the heap, or returns NONE. */
  pop(): RequestId {
    return this.#heap.size === 0 ? NONE : (this.#ids[this.#heap.pop()] ?? NONE);
  }

  drop(id: RequestId): void {
    if (!this.#table.is(id, this.#flag)) return;
    const entry = this.#table.beside(id, this.#field);
    this.#heap.removeAt(this.#place[entry] ?? -1);
    this.#memories[entry]?.add('requests', -ENTRY_BYTES);
    this.#memories[entry] = null;
    this.#free.push(entry);
    this.#table.lower(id, this.#flag);
    if (this.#free.length < this.#memories.length) return;
    // When nothing is held, the memory of a burst can be released at no cost.
    this.#free.length = 0;
    this.#memories.length = 0;
    if (this.#at.length > ROOM_MIN) this.#resize(ROOM_MIN);
  }
}
