/** Outcomes of clients' requests for worker services. */
import { CountedServices } from '../core/counted-services.js';
import { increment } from '../core/counts.js';
import { Histogram } from '../core/histogram.js';
import type { EventOf } from '../core/event-table.js';
import type { FailureKind } from '../wire/failure.js';
import type { BrokerTable } from './broker-events.js';

export type RefusalReason = EventOf<BrokerTable, 'request.refused'>['reason'];

/** From half a millisecond, roughly the time of a request here, to five minutes. */
const BOUNDS_MS = [
  0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000,
];

const REFUSED: Readonly<Record<RefusalReason, number>> = {
  limit: 3,
  quota: 4,
  too_large: 5,
  rights: 6,
  no_worker: 7,
  not_active: 8,
  draining: 9,
};
const FAILED: Readonly<Record<FailureKind, number>> = { error: 10, final: 11, retry: 14 };
const DURATION = new Histogram(BOUNDS_MS, 19);
const WAIT = new Histogram(BOUNDS_MS, DURATION.end);

/** The columns of a row: see `Layout`. */
export const PLAIN = {
  /** Failures end here: after one of kind `retry` the request continues. */
  failures: FAILED.retry,
  expired: 0,
  abandoned: 1,
  /**
   * `client_gone`: they waited (D26). `cancelled`: their client does not want the answer any more (D106), of which
   * it got nothing; `left`: of which it got a part, so this is no failure.
   */
  dropped: { client_gone: 2, cancelled: 12, left: 18 },
  refused: REFUSED,
  /** Failures that workers reported (D60). */
  failed: FAILED,
  /** Requests that may run once, and whose worker did not answer (D117). */
  unknown: 13,
  received: 15,
  /** `returned`: with RETURN, or with a failure of kind `retry`; `lost`: the worker is gone, or began anew. */
  requeued: { lost: 16, returned: 17 },
  /** Milliseconds from arrival to the reply, for requests that got a reply. */
  duration: DURATION,
  /** Milliseconds from arrival to the first delivery. */
  wait: WAIT,
  counters: WAIT.end,
  // Gauges, up to date after `Broker.measure`.
  /** Requests of clients that wait for a worker. */
  queued: WAIT.end,
  /** Requests of clients that are at workers. */
  inFlight: WAIT.end + 1,
  workers: { waiting: WAIT.end + 2, busy: WAIT.end + 3 },
  /** 1 if an operator paused the service. */
  paused: WAIT.end + 4,
  columns: WAIT.end + 5,
} as const;

/**
 * Every received request ends as one of replied, failed (except `retry`), expired, refused,
 * abandoned, dropped, of unknown outcome, or a dropped reply.
 */
export class RequestCounters {
  readonly columns: typeof PLAIN = PLAIN;
  readonly services: CountedServices = new CountedServices(PLAIN);

  countReceived(counts: Float64Array): void {
    increment(counts, PLAIN.received);
  }

  countRefused(counts: Float64Array, reason: RefusalReason): void {
    increment(counts, PLAIN.refused[reason]);
  }

  countFailed(counts: Float64Array, kind: FailureKind): void {
    increment(counts, PLAIN.failed[kind]);
  }

  /** The first delivery of a request. */
  countWait(counts: Float64Array, waitedMs: number): void {
    PLAIN.wait.observe(counts, waitedMs);
  }

  countReplied(counts: Float64Array, tookMs: number): void {
    PLAIN.duration.observe(counts, tookMs);
  }

  countRequeued(
    counts: Float64Array,
    reason: EventOf<BrokerTable, 'request.requeued'>['reason'],
  ): void {
    increment(counts, PLAIN.requeued[reason]);
  }

  countExpired(counts: Float64Array): void {
    increment(counts, PLAIN.expired);
  }

  countUnknown(counts: Float64Array): void {
    increment(counts, PLAIN.unknown);
  }

  countAbandoned(counts: Float64Array): void {
    increment(counts, PLAIN.abandoned);
  }

  countDropped(
    counts: Float64Array,
    reason: EventOf<BrokerTable, 'request.dropped'>['reason'],
  ): void {
    increment(counts, PLAIN.dropped[reason]);
  }
}
