import type { Commits } from '../titanic/commits.js';
import type { TitanicCounters } from '../titanic/events.js';
import type { StoreCounts } from '../titanic/store.js';
import { by } from './broker-metrics.js';
import type { Exposition } from './exposition.js';
import type { MetricName } from './metric-table.js';

/** What is read of Titanic. */
export interface TitanicSource {
  readonly counters: TitanicCounters;
  readonly counts: Pick<StoreCounts, 'pending' | 'replied' | 'dead' | 'bytes'>;
  /** Stored requests at workers. */
  readonly delivered: number;
  readonly commits: Commits;
}

export function titanicMetrics(out: Exposition, source: TitanicSource): void {
  const { counters, counts, delivered: dispatched, commits } = source;
  const single = (name: MetricName, value: number): void => {
    out.metric(name);
    out.sample('', value);
  };
  const pending = Math.max(0, counts.pending - dispatched);
  const { replied, dead } = counts;
  by(out, 'titanic_requests', 'state', { pending, dispatched, replied, dead });
  single('titanic_store_bytes', counts.bytes);
  single('titanic_accepted_total', counters.accepted);
  single('titanic_completed_total', counters.completed);
  single('titanic_retried_total', counters.retried);
  single('titanic_dead_total', counters.dead);
  single('titanic_expired_total', counters.expired);
  out.metric('titanic_commit_duration_seconds');
  out.histogram('', commits.durations, 0, 1000);
  out.metric('titanic_commit_batch_size');
  out.histogram('', commits.sizes, 0, 1);
}
