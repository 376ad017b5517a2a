/** What became of clients' requests for worker services, by the label of the service. */
import { Histograms } from '../core/histogram.js';
import type { RequestRefusal } from './counters.js';
import { type Label, LABELS_MAX, ServiceLabels } from './labels.js';

/** From half a millisecond, about what a request takes here, to five minutes. */
const BOUNDS_MS = [
  0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000,
];

/** A number for every label. */
export type ByLabel = Float64Array;

/**
 * A request counts under the label that its service has at that moment. Every request that was
 * received ends as one of replied, expired, refused, abandoned, dropped, or a dropped reply.
 */
export class RequestCounters {
  readonly labels: ServiceLabels = new ServiceLabels();
  readonly received: ByLabel = byLabel();
  readonly replied: ByLabel = byLabel();
  readonly requeued: ByLabel = byLabel();
  readonly expired: ByLabel = byLabel();
  readonly abandoned: ByLabel = byLabel();
  /** Waiting requests whose client went away (D26). */
  readonly dropped: ByLabel = byLabel();
  readonly refused: Readonly<Record<RequestRefusal, ByLabel>> = {
    limit: byLabel(),
    rights: byLabel(),
    not_active: byLabel(),
    draining: byLabel(),
  };
  /** At workers now. */
  readonly inFlight: ByLabel = byLabel();
  /** Milliseconds from its arrival to its first delivery. */
  readonly wait: Histograms = new Histograms(BOUNDS_MS, LABELS_MAX);
  /** Milliseconds from its arrival to its reply, of those that were replied to. */
  readonly duration: Histograms = new Histograms(BOUNDS_MS, LABELS_MAX);

  countReceived(label: Label): void {
    add(this.received, label, 1);
  }

  countRefused(label: Label, reason: RequestRefusal): void {
    add(this.refused[reason], label, 1);
  }

  /** Its first delivery. */
  countWait(label: Label, waitedMs: number): void {
    this.wait.observe(label, waitedMs);
  }

  countDelivered(label: Label): void {
    add(this.inFlight, label, 1);
  }

  /** No longer at the worker that it was delivered to. */
  countTakenBack(label: Label): void {
    add(this.inFlight, label, -1);
  }

  countReplied(label: Label, tookMs: number): void {
    add(this.replied, label, 1);
    this.duration.observe(label, tookMs);
  }

  countRequeued(label: Label): void {
    add(this.requeued, label, 1);
  }

  countExpired(label: Label): void {
    add(this.expired, label, 1);
  }

  countAbandoned(label: Label): void {
    add(this.abandoned, label, 1);
  }

  countDropped(label: Label): void {
    add(this.dropped, label, 1);
  }
}

function byLabel(): ByLabel {
  return new Float64Array(LABELS_MAX);
}

function add(to: ByLabel, label: Label, count: number): void {
  to[label] = (to[label] ?? 0) + count;
}
