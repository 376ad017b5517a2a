/**
 * Traces single requests of clients, for the log at level debug and for subscribers of the events,
 * with one call for each step of a request. While tracing is off, a step costs one check of a boolean.
 */
import { service, worker } from '../core/event-fields.js';
import { debug, type EventOf, field } from '../core/event-table.js';

export const REQUEST_STEPS = {
  'request.received': debug('the broker accepted it', { service }),
  'request.dispatched': debug('it went to a worker', { worker, delivery: field.number('from 1') }),
  'delivery.failed': debug('its worker was lost or gave it back', {
    worker,
    reason: field.string(),
  }),
  'partial.sent': debug('a PARTIAL went to its client', {}),
  'request.ended': debug('it has its outcome', {
    outcome: field.oneOf({
      replied: '',
      failed: '',
      expired: '',
      abandoned: '',
      outcome_unknown: '',
      refused: '',
      dropped: 'its client is gone',
      cancelled: 'by its client',
      kept: 'replied; its client is away and has yet to come back for it',
    }),
  }),
};

export type RequestStep = EventOf<typeof REQUEST_STEPS>;
/** How a request that was accepted ended. */
export type RequestEnd = EventOf<typeof REQUEST_STEPS, 'request.ended'>['outcome'];

/** @param request a number that is unique to the request; record numbers are reused */
export type RequestTrace = (request: number, step: RequestStep) => void;

export class RequestTracer {
  isOn = false;
  #trace: RequestTrace | null = null;
  /** Numbers of requests that are held, by the number of their record; 0: none yet. */
  #numbers = new Float64Array();
  #last = 0;

  /** @param trace `null` turns tracing off; another one continues with the same numbers */
  start(trace: RequestTrace | null): void {
    this.#trace = trace;
    this.isOn = trace !== null;
    // While it is off, nobody says which records are used again.
    if (!this.isOn) this.#numbers = new Float64Array();
  }

  /**
   * A request that arrived before tracing was turned on gets its number at its next step.
   * @param record the number of its record
   */
  step(record: number, step: RequestStep): void {
    let number = this.#numbers[record] ?? 0;
    if (number === 0) {
      number = ++this.#last;
      if (record >= this.#numbers.length) this.#grow(record + 1);
      this.#numbers[record] = number;
    }
    this.#trace?.(number, step);
  }

  /** Forgets the number of a record, which will be reused for another request. */
  forget(record: number): void {
    if (record < this.#numbers.length) this.#numbers[record] = 0;
  }

  #grow(needed: number): void {
    const grown = new Float64Array(Math.max(needed, this.#numbers.length * 2));
    grown.set(this.#numbers);
    this.#numbers = grown;
  }
}
