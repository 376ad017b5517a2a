/**
 * What workers last reported about requests that now wait for another worker (D61). The client gets
 * the report if no worker answers. Only the text is kept, not the detail; it counts as held by the
 * identity that sent it.
 */
import type { MemoryAccount } from '../../core/holdings.js';
import type { Failure } from '../../wire/failure.js';
import { REPORTED, type RequestId, type RequestTable } from './request-table.js';

interface Entry {
  readonly failure: Failure;
  readonly bytes: number;
  readonly memory: MemoryAccount;
}

/** Memory that an entry takes besides its text. */
const ENTRY_BYTES = 200;

export class ReportedFailures {
  readonly #table: RequestTable;
  readonly #entries = new Map<RequestId, Entry>();

  constructor(table: RequestTable) {
    this.#table = table;
  }

  /** Keeps the failure. If its sender may hold no more, an earlier one stays. */
  keep(id: RequestId, { kind, code, text }: Failure, memory: MemoryAccount): void {
    const bytes = ENTRY_BYTES + code.length + 2 * text.length;
    if (!memory.mayHold(bytes)) return;
    this.drop(id);
    memory.add('requests', bytes);
    this.#entries.set(id, { failure: { kind, code, text, detail: [] }, bytes, memory });
    this.#table.raise(id, REPORTED);
  }

  of(id: RequestId): Failure | null {
    return this.#table.is(id, REPORTED) ? (this.#entries.get(id)?.failure ?? null) : null;
  }

  drop(id: RequestId): void {
    if (!this.#table.is(id, REPORTED)) return;
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.memory.add('requests', -entry.bytes);
    this.#entries.delete(id);
    this.#table.lower(id, REPORTED);
  }
}
