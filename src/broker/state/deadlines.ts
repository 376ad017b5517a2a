/**
 * Until when the clients of some requests wait (D68). Most requests have no deadline, so it is no
 * field of theirs.
 */
import type { MemoryAccount } from '../../core/holdings.js';
import { IndexedHeap } from '../../core/indexed-heap.js';
import { NONE, type RequestId, type RequestTable, TIMED } from './request-table.js';

interface Entry {
  /** When the client stops waiting, in monotonic milliseconds. */
  readonly at: number;
  /** The place in the heap; -1: it is not there. */
  place: number;
  readonly memory: MemoryAccount;
}

/** Memory that an entry takes. */
const ENTRY_BYTES = 160;

export class Deadlines {
  readonly #table: RequestTable;
  readonly #entries = new Map<RequestId, Entry>();
  readonly #heap = new IndexedHeap({
    before: (a, b) => this.of(a) < this.of(b),
    moved: (id, place) => {
      const entry = this.#entries.get(id);
      if (entry !== undefined) entry.place = place;
    },
  });

  constructor(table: RequestTable) {
    this.#table = table;
  }

  /** @param at monotonic milliseconds @param memory of the client */
  keep(id: RequestId, at: number, memory: MemoryAccount): void {
    memory.add('requests', ENTRY_BYTES);
    this.#entries.set(id, { at, place: -1, memory });
    this.#heap.push(id);
    this.#table.raise(id, TIMED);
  }

  /** The deadline of a request, in monotonic milliseconds; Infinity: it has none. */
  of(id: RequestId): number {
    return this.#entries.get(id)?.at ?? Infinity;
  }

  /** The earliest, in monotonic milliseconds; Infinity: there is none. */
  get earliest(): number {
    return this.#heap.size === 0 ? Infinity : this.of(this.#heap.peek());
  }

  /** Takes the request whose deadline comes first off the heap, or returns NONE. */
  pop(): RequestId {
    return this.#heap.size === 0 ? NONE : this.#heap.pop();
  }

  drop(id: RequestId): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#heap.removeAt(entry.place);
    entry.memory.add('requests', -ENTRY_BYTES);
    this.#entries.delete(id);
    this.#table.lower(id, TIMED);
  }
}
