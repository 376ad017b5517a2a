/**
 * Times at which something is due for some requests: until when their clients wait (D68), or when it is certain that
 * nobody serves them (D65). Most requests have none, so it is no field of theirs.
 */
import type { MemoryAccount } from '../../core/holdings.js';
import { IndexedHeap } from '../../core/indexed-heap.js';
import { NONE, type RequestId, type RequestTable } from './request-table.js';

interface Entry {
  /** In monotonic milliseconds. */
  readonly at: number;
  /** The place in the heap; -1: it is not there. */
  place: number;
  readonly memory: MemoryAccount;
}

/** Memory that an entry takes. */
const ENTRY_BYTES = 160;

export class Deadlines {
  readonly #table: RequestTable;
  readonly #flag: number;
  readonly #entries = new Map<RequestId, Entry>();
  readonly #heap = new IndexedHeap({
    before: (a, b) => this.of(a) < this.of(b),
    moved: (id, place) => {
      const entry = this.#entries.get(id);
      if (entry !== undefined) entry.place = place;
    },
  });

  /** @param flag of the requests that have one */
  constructor(table: RequestTable, flag: number) {
    this.#table = table;
    this.#flag = flag;
  }

  /** @param at monotonic milliseconds @param memory of the client */
  keep(id: RequestId, at: number, memory: MemoryAccount): void {
    memory.add('requests', ENTRY_BYTES);
    this.#entries.set(id, { at, place: -1, memory });
    this.#heap.push(id);
    this.#table.raise(id, this.#flag);
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
    this.#table.lower(id, this.#flag);
  }
}
