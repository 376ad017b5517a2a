/** Outcomes of stored requests, by the label of their service. */
import { Histograms } from '../../core/histogram.js';
import { type ByLabel, byLabel, type Label, LABELS_MAX, type Labels } from '../../core/labels.js';
import type { FailureKind } from '../../wire/failure.js';
import { RETRY_REASONS, type RetryReason } from '../store/retries.js';

/** How an attempt failed: as reported by its worker, or `lost`: it ended without a report. */
export type AttemptFailure = FailureKind | 'lost';

/**
 * What became of a schedule that was due: a request was stored; its owner had no right to the
 * service; nothing can be stored now, so it is tried again.
 */
export type ScheduleOutcome = 'stored' | 'denied' | 'delayed';

/** From a hundredth of a second, roughly the time of two commits, to a day. */
const BOUNDS_MS = [
  10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 1_800_000,
  7_200_000, 28_800_000, 86_400_000,
];

/** Keyed by the label that a service has at that moment. */
export interface StoredCounts {
  readonly accepted: ByLabel;
  readonly completed: ByLabel;
  readonly retried: ByLabel;
  readonly dead: ByLabel;
  readonly expired: ByLabel;
  readonly attemptsFailed: Readonly<Record<AttemptFailure, ByLabel>>;
  /** Milliseconds that a request waited for its reply: see `SINCE` of the index. */
  readonly acceptToReply: Histograms;
}

/** Counted since the start. */
export class TitanicCounters {
  readonly labels: Labels;
  readonly services: StoredCounts = {
    accepted: byLabel(),
    completed: byLabel(),
    retried: byLabel(),
    dead: byLabel(),
    expired: byLabel(),
    attemptsFailed: { error: byLabel(), final: byLabel(), retry: byLabel(), lost: byLabel() },
    acceptToReply: new Histograms(BOUNDS_MS, LABELS_MAX),
  };
  /** Labels of services that have, or had, stored requests. */
  readonly stored: Set<Label> = new Set();
  /** How often schedules were due, by what became of it. */
  readonly schedules: Record<ScheduleOutcome, number> = { stored: 0, denied: 0, delayed: 0 };
  /** The store: whether it can be reached, and what was tried again. */
  readonly store: {
    isUp: boolean;
    /** Of a file: bytes of its log; `null`: it is a database. */
    logBytes: number | null;
    /** Of a database; `null`: not known. */
    oldestSnapshotSeconds: number | null;
    /**
     * Of a database, by service, one character per byte: since when requests wait that no broker has
     * claimed, in wall milliseconds.
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

  constructor(labels: Labels) {
    this.labels = labels;
  }

  // For all services together:
  get accepted(): number {
    return this.#total(this.services.accepted);
  }

  get completed(): number {
    return this.#total(this.services.completed);
  }

  get retried(): number {
    return this.#total(this.services.retried);
  }

  get dead(): number {
    return this.#total(this.services.dead);
  }

  get expired(): number {
    return this.#total(this.services.expired);
  }

  #total(counts: ByLabel): number {
    let total = 0;
    for (const label of this.labels.names.keys()) total += counts[label] ?? 0;
    return total;
  }
}
