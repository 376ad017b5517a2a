/**
 * What workers said last of requests that now wait for another worker (D61): told to the client if no
 * worker answers. It is kept as text and without its detail, and counts as held for whom sent it.
 */
import type { Holder } from '../core/holdings.js';
import type { Failure } from '../wire/failure.js';
import type { RequestId } from './requests.js';

interface Kept {
  readonly failure: Failure;
  readonly bytes: number;
  readonly holder: Holder;
}

/** What one takes beside its text. */
const KEPT_BYTES = 200;

export class Reported {
  readonly #kept = new Map<RequestId, Kept>();

  /** Where its sender may hold no more, what was said before it stays. @returns false if nothing is kept */
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
