/** Rates of requests: from what was counted in some seconds. */
import type { RequestCounters } from '../../broker/request-counters.js';
import { sumOf } from '../../core/counts.js';
import type { Histogram } from '../../core/histogram.js';
import type { TitanicCounters } from '../../titanic/machine/requests/counters.js';
import type { DurableRates, Latencies, PlainFigures } from '../../wire/mmi-answers.js';

/** The fewest requests that have a p99: the slowest hundredth of fewer is one or two, and jumps with each of them. */
const P99_REQUESTS_MIN = 100;

/** @param counted what was counted in `seconds` seconds, by column */
export function plainFigures(
  { columns }: RequestCounters,
  counted: Float64Array,
  seconds: number,
): PlainFigures {
  const { received, requeued, duration, failures } = columns;
  const rate = (count: number): number => rounded(count / seconds);
  return {
    requestsPerSecond: rate(counted[received] ?? 0),
    repliesPerSecond: rate(duration.total(counted)),
    failuresPerSecond: rate(sumOf(counted, failures)),
    redeliveriesPerSecond: rate((counted[requeued.lost] ?? 0) + (counted[requeued.returned] ?? 0)),
    ...latencies(duration, counted),
  };
}

/** @param counted what was counted in `seconds` seconds, by column */
export function durableRates(
  { columns }: TitanicCounters,
  counted: Float64Array,
  seconds: number,
): DurableRates {
  const { accepted, completed, attemptsFailed, dead, acceptToReply } = columns;
  const rate = (...of: readonly number[]): number =>
    rounded(of.reduce((sum, column) => sum + (counted[column] ?? 0), 0) / seconds);
  return {
    acceptedPerSecond: rate(accepted),
    repliesPerSecond: rate(completed),
    failedAttemptsPerSecond: rate(...Object.values(attemptsFailed)),
    deathsPerSecond: rate(dead),
    ...latencies(acceptToReply, counted),
  };
}

function latencies(histogram: Histogram, counted: Float64Array): Latencies {
  const isEnough = histogram.total(counted) >= P99_REQUESTS_MIN;
  return {
    p50Ms: quantile(histogram, counted, 0.5),
    p99Ms: isEnough ? quantile(histogram, counted, 0.99) : null,
    maxMs: quantile(histogram, counted, 1),
  };
}

/** Rounds to two decimals: nobody reads more. */
export function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

/**
 * Interpolates within a bucket, as Prometheus does, but not above what the sum of all values leaves for this one.
 * (With few values, interpolation alone may give more than the longest.) `null`: there are no values.
 */
function quantile(histogram: Histogram, row: Float64Array, share: number): number | null {
  const { bounds } = histogram;
  const least = (bucket: number): number => bounds[bucket - 1] ?? 0;
  let rank = share * histogram.total(row);
  if (rank === 0) return null;
  let spare = histogram.sum(row);
  for (let each = 0; each <= bounds.length; each++) {
    spare -= least(each) * histogram.count(row, each);
  }
  for (let bucket = 0; bucket < bounds.length; bucket++) {
    const count = histogram.count(row, bucket);
    if (rank <= count) {
      const from = least(bucket);
      const width = (bounds[bucket] ?? from) - from;
      // It, and those above it in the bucket, share what is left.
      const most = Math.max(0, spare) / (count - Math.ceil(rank) + 1);
      return rounded(from + Math.min(width * (rank / count), most));
    }
    rank -= count;
  }
  return rounded(bounds.at(-1) ?? 0);
}
