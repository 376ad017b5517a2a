import type { Commits } from '../../titanic/machine/requests/commits.js';
import type { TitanicCounters } from '../../titanic/machine/requests/counters.js';
import type { OwnerCount, StoreCounts } from '../../store/store.js';
import { OTHER_COUNTS, type OtherCount, type RecordCount } from '../../store/record-kind.js';
import type { DurableCounts } from '../../wire/mmi-answers.js';
import { histogramsOf, labelled, perService, perServiceBy, type Writing } from './by-service.js';
import type { Exposition } from './exposition.js';

/** What the metrics read from Titanic. */
export interface TitanicSource {
  readonly counters: TitanicCounters;
  readonly counts: Pick<StoreCounts, RecordCount | 'bytes'>;
  /** What the store holds for each owner. */
  readonly owners: Iterable<OwnerCount>;
  /** Stored requests at workers. */
  readonly delivered: number;
  /** Stored requests in flight, and the bytes of their bodies. */
  readonly inFlight: number;
  readonly inFlightBytes: number;
  readonly commits: Commits;
  /** Brings the gauges of the rows of services up to date. @param wall milliseconds since 1970 */
  measure(wall: number): void;
  /** The stored requests of one service; `null`: none. */
  durableOf(service: Buffer, wall: number): DurableCounts | null;
}

/** @param wall milliseconds since 1970 */
export function* titanicMetrics(out: Exposition, source: TitanicSource, wall: number): Writing {
  const { counters, counts, commits } = source;
  const { columns } = counters;
  source.measure(wall);
  const services = labelled(counters.services, 'stored');
  yield* perServiceBy(out, 'titanic_requests', services, 'state', columns.requests);
  yield* perService(out, 'titanic_oldest_pending_seconds', services, columns.oldestMs, 1000);
  out.metric('titanic_in_flight');
  out.sample('', source.inFlight);
  out.metric('titanic_in_flight_bytes');
  out.sample('', source.inFlightBytes);
  out.metric('titanic_store_bytes');
  out.sample('', counts.bytes);
  const { logBytes } = counters.store;
  out.metric('titanic_wal_bytes');
  if (logBytes !== null) out.sample('', logBytes);
  out.metric('titanic_store_up');
  out.sample('', counters.store.isUp ? 1 : 0);
  const { oldestSnapshotSeconds } = counters.store;
  out.metric('titanic_store_oldest_snapshot_seconds');
  if (oldestSnapshotSeconds !== null) out.sample('', oldestSnapshotSeconds);
  out.metric('titanic_store_retries_total');
  for (const [reason, count] of Object.entries(counters.store.retries)) {
    out.sample(`reason="${reason}"`, count);
  }
  out.metric('titanic_claims_lost_total');
  out.sample('', counters.store.claimsLost);
  for (const count of Object.keys(OTHER_COUNTS) as OtherCount[]) {
    out.metric(count === 'later' ? 'titanic_later_records' : `titanic_${count}`);
    out.sample('', counts[count]);
  }
  out.metric('titanic_schedules_due_total');
  for (const [outcome, count] of Object.entries(counters.schedules)) {
    out.sample(`outcome="${outcome}"`, count);
  }
  yield* perService(out, 'titanic_accepted_total', services, columns.accepted);
  yield* perService(out, 'titanic_completed_total', services, columns.completed);
  yield* perService(out, 'titanic_retried_total', services, columns.retried);
  yield* perServiceBy(
    out,
    'titanic_attempts_failed_total',
    services,
    'kind',
    columns.attemptsFailed,
  );
  yield* perService(out, 'titanic_dead_total', services, columns.dead);
  yield* perService(out, 'titanic_expired_total', services, columns.expired);
  yield* histogramsOf(out, 'titanic_accept_to_reply_seconds', services, columns.acceptToReply);
  out.metric('titanic_commit_duration_seconds');
  out.histogram('', commits.durations, commits.counts, 1000);
  out.metric('titanic_commit_batch_size');
  out.histogram('', commits.sizes, commits.counts, 1);
}
