/** Rates of requests: differences of counters. */
import type { RequestCounters } from '../broker/request-counters.js';
import type { Histograms } from '../core/histogram.js';
import type { TitanicCounters } from '../titanic/machine/counters.js';
import type { DurableRates, PlainFigures } from '../wire/mmi.js';

/** The counters at one moment, of one service or of all. */
export interface Tally {
  received: number;
  replied: number;
  /** Failed as reported by the worker; expired, refused, abandoned, dropped. */
  failed: number;
  /** Queued again after a lost delivery. */
  redelivered: number;
  /** Durations by bucket; the last one is above all bounds. */
  readonly durations: Float64Array;
}

/** Rates between two moments. */
export interface Rates {
  readonly receivedPerSecond: number;
  readonly repliedPerSecond: number;
  readonly failedPerSecond: number;
  readonly redeliveredPerSecond: number;
  /** Of requests answered in that time; `null`: none. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

/** By label, in the order of the labels. */
export function talliesOf(requests: RequestCounters): Tally[] {
  const { labels, received, requeued, expired, abandoned, dropped, refused, failed, duration } =
    requests;
  const refusals = Object.values(refused);
  return Array.from(labels.names.keys(), (label) => {
    const durations = bucketsOf(duration, label);
    const replied = durations.reduce((sum, count) => sum + count, 0);
    const of = (counts: Float64Array): number => counts[label] ?? 0;
    const refusedAll = refusals.reduce((sum, counts) => sum + of(counts), 0);
    return {
      received: of(received),
      replied,
      // `retry` does not end a request.
      failed:
        of(failed.error) +
        of(failed.final) +
        of(expired) +
        of(abandoned) +
        of(dropped) +
        refusedAll,
      redelivered: of(requeued),
      durations,
    };
  });
}

/** Counters of one service's stored requests. */
export interface StoredTally {
  readonly accepted: number;
  readonly replied: number;
  readonly failedAttempts: number;
  readonly dead: number;
  /** From acceptance to reply, by bucket. */
  readonly durations: Float64Array;
}

/** By label. */
export function storedTalliesOf({ labels, services }: TitanicCounters): StoredTally[] {
  const { accepted, completed, attemptsFailed, dead, acceptToReply } = services;
  const failures = Object.values(attemptsFailed);
  return Array.from(labels.names.keys(), (label) => ({
    accepted: accepted[label] ?? 0,
    replied: completed[label] ?? 0,
    failedAttempts: failures.reduce((sum, counts) => sum + (counts[label] ?? 0), 0),
    dead: dead[label] ?? 0,
    durations: bucketsOf(acceptToReply, label),
  }));
}

/** @param before `undefined`: nothing had been counted */
export function storedRatesBetween(
  before: StoredTally | undefined,
  now: StoredTally,
  seconds: number,
  boundsMs: Float64Array,
): DurableRates {
  const since = (what: 'accepted' | 'replied' | 'failedAttempts' | 'dead'): number =>
    rounded((now[what] - (before?.[what] ?? 0)) / seconds);
  const counts = now.durations.map((count, bucket) => count - (before?.durations[bucket] ?? 0));
  return {
    acceptedPerSecond: since('accepted'),
    repliesPerSecond: since('replied'),
    failedAttemptsPerSecond: since('failedAttempts'),
    deathsPerSecond: since('dead'),
    p50Ms: roundedMs(quantile(boundsMs, counts, 0.5)),
    p99Ms: roundedMs(quantile(boundsMs, counts, 0.99)),
  };
}

function roundedMs(ms: number | null): number | null {
  return ms === null ? null : rounded(ms);
}

/** The form for lists. */
export function plainFigures(rates: Rates): PlainFigures {
  return {
    requestsPerSecond: rounded(rates.receivedPerSecond),
    repliesPerSecond: rounded(rates.repliedPerSecond),
    failuresPerSecond: rounded(rates.failedPerSecond),
    redeliveriesPerSecond: rounded(rates.redeliveredPerSecond),
    p50Ms: roundedMs(rates.p50Ms),
    p99Ms: roundedMs(rates.p99Ms),
  };
}

/** Nobody reads more than two decimals. */
export function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

function bucketsOf(histograms: Histograms, label: number): Float64Array {
  const buckets = new Float64Array(histograms.bounds.length + 1);
  for (let bucket = 0; bucket < buckets.length; bucket++) {
    buckets[bucket] = histograms.count(label, bucket);
  }
  return buckets;
}

export function sumOf(tallies: readonly Tally[], buckets: number): Tally {
  const sum = {
    received: 0,
    replied: 0,
    failed: 0,
    redelivered: 0,
    durations: new Float64Array(buckets),
  };
  for (const { received, replied, failed, redelivered, durations } of tallies) {
    sum.received += received;
    sum.replied += replied;
    sum.failed += failed;
    sum.redelivered += redelivered;
    for (const [bucket, count] of durations.entries()) {
      sum.durations[bucket] = (sum.durations[bucket] ?? 0) + count;
    }
  }
  return sum;
}

/** @param before `undefined`: nothing had been counted */
export function ratesBetween(
  before: Tally | undefined,
  now: Tally,
  seconds: number,
  boundsMs: Float64Array,
): Rates {
  const counts = now.durations.map((count, bucket) => count - (before?.durations[bucket] ?? 0));
  return {
    receivedPerSecond: (now.received - (before?.received ?? 0)) / seconds,
    repliedPerSecond: (now.replied - (before?.replied ?? 0)) / seconds,
    failedPerSecond: (now.failed - (before?.failed ?? 0)) / seconds,
    redeliveredPerSecond: (now.redelivered - (before?.redelivered ?? 0)) / seconds,
    p50Ms: quantile(boundsMs, counts, 0.5),
    p99Ms: quantile(boundsMs, counts, 0.99),
  };
}

/** Interpolates within a bucket, as Prometheus does. */
function quantile(boundsMs: Float64Array, counts: Float64Array, share: number): number | null {
  let rank = share * counts.reduce((sum, count) => sum + count, 0);
  if (rank === 0) return null;
  for (const [bucket, count] of counts.entries()) {
    if (rank <= count) {
      const from = boundsMs[bucket - 1] ?? 0;
      const until = boundsMs[bucket] ?? from;
      return from + (until - from) * (rank / count);
    }
    rank -= count;
  }
  return boundsMs.at(-1) ?? null;
}
