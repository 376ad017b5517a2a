/** Outcomes of clients' requests for worker services, by the label of the service. */
import { Histograms } from '../core/histogram.js';
import {
  type ByLabel,
  byLabel,
  increment,
  type Label,
  LABELS_MAX,
  Labels,
} from '../core/labels.js';
import type { FailureKind } from '../wire/failure.js';
import type { RefusalReason } from './counters.js';

/** From half a millisecond, roughly the time of a request here, to five minutes. */
const BOUNDS_MS = [
  0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000,
];

/**
 * A request counts under the label that its service has at that moment. Every received request ends
 * as one of replied, failed (except `retry`), expired, refused, abandoned, dropped, or a dropped
 * reply.
 */
export class RequestCounters {
  readonly labels: Labels = new Labels();
  readonly received: ByLabel = byLabel();
  readonly requeued: ByLabel = byLabel();
  readonly expired: ByLabel = byLabel();
  readonly abandoned: ByLabel = byLabel();
  /** Waiting requests whose client went away (D26). */
  readonly dropped: ByLabel = byLabel();
  readonly refused: Readonly<Record<RefusalReason, ByLabel>> = {
    limit: byLabel(),
    quota: byLabel(),
    too_large: byLabel(),
    rights: byLabel(),
    no_worker: byLabel(),
    not_active: byLabel(),
    draining: byLabel(),
  };
  /** Failures that workers reported (D60). After one of kind `retry` the request continues. */
  readonly failed: Readonly<Record<FailureKind, ByLabel>> = {
    error: byLabel(),
    final: byLabel(),
    retry: byLabel(),
  };
  /** Milliseconds from arrival to the first delivery. */
  readonly wait: Histograms = new Histograms(BOUNDS_MS, LABELS_MAX);
  /** Milliseconds from arrival to the reply, for requests that got a reply. */
  readonly duration: Histograms = new Histograms(BOUNDS_MS, LABELS_MAX);

  /** Requests whose duration was observed. */
  get replied(): ByLabel {
    const replied = byLabel();
    for (const label of this.labels.names.keys()) replied[label] = this.duration.total(label);
    return replied;
  }

  /** For all labels together. */
  total(counts: ByLabel): number {
    let total = 0;
    for (const label of this.labels.names.keys()) total += counts[label] ?? 0;
    return total;
  }

  countReceived(label: Label): void {
    increment(this.received, label);
  }

  countRefused(label: Label, reason: RefusalReason): void {
    increment(this.refused[reason], label);
  }

  countFailed(label: Label, kind: FailureKind): void {
    increment(this.failed[kind], label);
  }

  /** The first delivery of a request. */
  countWait(label: Label, waitedMs: number): void {
    this.wait.observe(label, waitedMs);
  }

  countReplied(label: Label, tookMs: number): void {
    this.duration.observe(label, tookMs);
  }

  countRequeued(label: Label): void {
    increment(this.requeued, label);
  }

  countExpired(label: Label): void {
    increment(this.expired, label);
  }

  countAbandoned(label: Label): void {
    increment(this.abandoned, label);
  }

  countDropped(label: Label): void {
    increment(this.dropped, label);
  }
}
