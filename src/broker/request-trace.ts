/**
 * Traces single requests of clients for the log at level debug, with one call for each step of a
 * request. While tracing is off, a step costs one check of a boolean.
 */
import type { RequestId } from './state/request-table.js';

/** How a request that was accepted ended. */
export type RequestEnd = 'replied' | 'failed' | 'expired' | 'abandoned' | 'dropped' | 'refused';

export type RequestStep =
  | { readonly name: 'request.received'; readonly service: string }
  | { readonly name: 'request.dispatched'; readonly worker: number; readonly delivery: number }
  | { readonly name: 'delivery.failed'; readonly worker: number; readonly reason: string }
  /** A PARTIAL was sent to its client. */
  | { readonly name: 'partial.sent' }
  | { readonly name: 'request.ended'; readonly outcome: RequestEnd };

/** @param request a number that is unique to the request; record numbers are reused */
export type RequestTrace = (request: number, step: RequestStep) => void;

export class Following {
  isOn = false;
  #trace: RequestTrace | null = null;
  /** For requests that are held. */
  readonly #numbers = new Map<RequestId, number>();
  #last = 0;

  /** @param trace `null` turns tracing off */
  follow(trace: RequestTrace | null): void {
    this.#trace = trace;
    this.isOn = trace !== null;
    this.#numbers.clear();
  }

  /** A request that arrived before tracing was turned on gets its number at its next step. */
  tell(id: RequestId, step: RequestStep): void {
    let number = this.#numbers.get(id);
    if (number === undefined) {
      number = ++this.#last;
      this.#numbers.set(id, number);
    }
    this.#trace?.(number, step);
  }

  /** Its record will be reused for another request. */
  forget(id: RequestId): void {
    this.#numbers.delete(id);
  }
}
