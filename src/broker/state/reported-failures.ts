/**
 * What workers last reported about requests that now wait for another worker (D61). The client is
 * told if no worker answers. Only the text is kept, not the detail; it counts as held by the
 * identity that sent it.
 */
import type { Holder } from '../../core/holdings.js';
import type { Failure } from '../../wire/failure.js';
import type { RequestId } from './request-table.js';

interface Kept {
  readonly failure: Failure;
  readonly bytes: number;
  readonly holder: Holder;
}

/** Memory that an entry takes besides its text. */
const KEPT_BYTES = 200;

export class Reported {
  readonly #kept = new Map<RequestId, Kept>();

  /**
   * Keeps the failure. If its sender may hold no more, an earlier one stays.
   * @returns false if none is kept
   */
  keep(id: RequestId, { kind, code, text }: Failure, holder: Holder): boolean {
    const bytes = KEPT_BYTES + code.length + 2 * text.length;
    if (!holder.mayHold(bytes)) return this.#kept.has(id);
    this.drop(id);
    holder.add('requests', bytes);
    this.#kept.set(id, { failure: { kind, code, text, detail: [] }, bytes, holder });
    return true;
  }

  of(id: RequestId): Failure | null {
    return this.#kept.get(id)?.failure ?? null;
  }

  drop(id: RequestId): void {
    const kept = this.#kept.get(id);
    if (kept === undefined) return;
    kept.holder.add('requests', -kept.bytes);
    this.#kept.delete(id);
  }
}
