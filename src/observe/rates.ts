/** How fast requests go: differences of what is counted. */
import type { RequestCounters } from '../broker/request-counters.js';

/** What was counted at one moment, of one service or of all. */
export interface Tally {
  received: number;
  replied: number;
  /** As its worker said; expired, refused, abandoned, dropped. */
  failed: number;
  /** Durations by bucket; the last is above all bounds. */
  readonly durations: Float64Array;
}

/** Between two moments. */
export interface Rates {
  readonly receivedPerSecond: number;
  readonly repliedPerSecond: number;
  readonly failedPerSecond: number;
  /** Of requests replied to in that time; `null`: there were none. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

/** By label, in the order of the labels. */
export function talliesOf(requests: RequestCounters): Tally[] {
  const { labels, received, expired, abandoned, dropped, refused, failed, duration } = requests;
  const refusals = Object.values(refused);
  return Array.from(labels.names.keys(), (label) => {
    const durations = new Float64Array(duration.bounds.length + 1);
    let replied = 0;
    for (let bucket = 0; bucket < durations.length; bucket++) {
      const count = duration.count(label, bucket);
      durations[bucket] = count;
      replied += count;
    }
    const of = (counts: Float64Array): number => counts[label] ?? 0;
    const refusedAll = refusals.reduce((sum, counts) => sum + of(counts), 0);
    return {
      received: of(received),
      replied,
      // `retry` ends no request.
      failed:
        of(failed.error) +
        of(failed.final) +
        of(expired) +
        of(abandoned) +
        of(dropped) +
        refusedAll,
      durations,
    };
  });
}

export function sumOf(tallies: readonly Tally[], buckets: number): Tally {
  const sum = { received: 0, replied: 0, failed: 0, durations: new Float64Array(buckets) };
  for (const { received, replied, failed, durations } of tallies) {
    sum.received += received;
    sum.replied += replied;
    sum.failed += failed;
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
    p50Ms: quantile(boundsMs, counts, 0.5),
    p99Ms: quantile(boundsMs, counts, 0.99),
  };
}

/** Within its bucket as if the values were spread evenly in it, as Prometheus has it. */
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
