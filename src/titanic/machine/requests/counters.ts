/** Outcomes of stored requests. */
import type { CountedServices } from '../../../core/counted-services.js';
import { Histogram } from '../../../core/histogram.js';
import type { FailureKind } from '../../../wire/failure.js';
import { RETRY_REASONS, type RetryReason } from '../../../store/retries.js';

/** How an attempt failed: as reported by its worker, or `lost`: it ended without a report. */
type AttemptFailure = FailureKind | 'lost';

/**
 * What became of a schedule that was due: a request was stored; its owner had no right to the
 * service; nothing can be stored now, so it is tried again.
 */
type ScheduleOutcome = 'stored' | 'denied' | 'delayed';

export type TitanicQuota = 'stored' | 'storedBytes' | 'services' | 'schedules' | 'waits';

/** From a hundredth of a second, roughly the time of two commits, to a day. */
const BOUNDS_MS = [
  10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 1_800_000,
  7_200_000, 28_800_000, 86_400_000,
];

const ACCEPT_TO_REPLY = new Histogram(BOUNDS_MS, 9);
const GAUGES = ACCEPT_TO_REPLY.end;
const ATTEMPTS_FAILED: Readonly<Record<AttemptFailure, number>> = {
  error: 0,
  final: 1,
  retry: 2,
  lost: 3,
};

/** The columns of a row: see `Layout`. */
export const STORED = {
  attemptsFailed: ATTEMPTS_FAILED,
  dead: 4,
  failures: 5,
  accepted: 5,
  completed: 6,
  retried: 7,
  expired: 8,
  /** Milliseconds that a request waited for its reply: see `SINCE` of the index. */
  acceptToReply: ACCEPT_TO_REPLY,
  counters: GAUGES,
  // Gauges, up to date after `Figures.measure`.
  requests: { pending: GAUGES, dispatched: GAUGES + 1, replied: GAUGES + 2, dead: GAUGES + 3 },
  /** How long the oldest pending request has waited, in milliseconds; 0 if there is none. */
  oldestMs: GAUGES + 4,
  columns: GAUGES + 5,
} as const;

/** Counted since the start. */
export class TitanicCounters {
  readonly columns: typeof STORED = STORED;
  readonly services: CountedServices;
  /** For services that are not known by name. */
  readonly others: Float64Array;
  /** How often schedules were due, by what became of it. */
  readonly schedules: Record<ScheduleOutcome, number> = { stored: 0, denied: 0, delayed: 0 };
  /** The store: whether it can be reached, and what was tried again. */
  readonly store: {
    isUp: boolean;
    /** The bytes of the log of a file; `null`: the store is a database. */
    logBytes: number | null;
    /** How old the oldest snapshot of a database is; `null`: not known. */
    oldestSnapshotSeconds: number | null;
    /**
     * Since when requests wait in a database that no broker has claimed: wall milliseconds, by service,
     * one character per byte.
     */
    unclaimedSince: ReadonlyMap<string, number>;
    readonly retries: Record<RetryReason, number>;
    /** Steps that were not made, because another broker had the request or it was closed. */
    claimsLost: number;
  } = {
    isUp: true,
    logBytes: null,
    oldestSnapshotSeconds: null,
    unclaimedSince: new Map(),
    claimsLost: 0,
    retries: Object.fromEntries(RETRY_REASONS.map((reason) => [reason, 0])) as Record<
      RetryReason,
      number
    >,
  };
  /** Requests for `titanic.*` that could not be read. */
  malformed = 0;
  /** What was refused because an owner, or of `waits` an identity, had used up a quota. */
  readonly quotas: Record<TitanicQuota, number> = {
    stored: 0,
    storedBytes: 0,
    services: 0,
    schedules: 0,
    waits: 0,
  };

  constructor(services: CountedServices) {
    this.services = services;
    this.others = services.keepStored(STORED).now;
  }

  /** The row of a service. @param shown percent-escaped */
  of(shown: string): Float64Array {
    return this.services.find(shown)?.stored?.now ?? this.others;
  }

  // For all services together:
  get accepted(): number {
    return this.#total(STORED.accepted);
  }

  get completed(): number {
    return this.#total(STORED.completed);
  }

  get retried(): number {
    return this.#total(STORED.retried);
  }

  get dead(): number {
    return this.#total(STORED.dead);
  }

  get expired(): number {
    return this.#total(STORED.expired);
  }

  #total(column: number): number {
    return this.services.total('stored')[column] ?? 0;
  }
}
