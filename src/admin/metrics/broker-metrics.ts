import type { BrokerLoad } from '../../broker/broker.js';
import type { BrokerCounters } from '../../broker/counters.js';
import type { TitanicCounters } from '../../titanic/machine/requests/counters.js';
import { histogramsOf, labelled, perService, perServiceBy, type Writing } from './by-service.js';
import { type Exposition, labelText } from './exposition.js';
import type { MetricName } from './metric-table.js';

/** What the metrics read from a broker. */
export interface BrokerSource {
  readonly counters: BrokerCounters;
  readonly load: Pick<BrokerLoad, 'sessions' | 'sessionsAway'>;
  /** Brings the gauges of the rows of services up to date. */
  measure(): void;
}

/**
 * @param ofTitanic what is counted here, too; `null`: no requests are stored
 * @param ofOthers malformed messages that extensions read, by kind
 */
export function* brokerMetrics(
  out: Exposition,
  broker: BrokerSource,
  ofTitanic: Pick<TitanicCounters, 'malformed' | 'quotas'> | null,
  ofOthers: Readonly<Record<string, number>>,
): Writing {
  const { counters } = broker;
  broker.measure();
  const { services: counted, columns } = counters.requests;
  const services = labelled(counted, 'plain');
  yield* perService(out, 'requests_received_total', services, columns.received);
  yield* perService(out, 'requests_replied_total', services, columns.duration);
  yield* perServiceBy(out, 'requests_failed_total', services, 'kind', columns.failed);
  yield* perServiceBy(out, 'requests_requeued_total', services, 'reason', columns.requeued);
  yield* perService(out, 'requests_expired_total', services, columns.expired);
  yield* perServiceBy(out, 'requests_refused_total', services, 'reason', columns.refused);
  yield* perService(out, 'requests_abandoned_total', services, columns.abandoned);
  yield* perService(out, 'requests_outcome_unknown_total', services, columns.unknown);
  yield* perServiceBy(out, 'requests_dropped_total', services, 'reason', columns.dropped);
  yield* histogramsOf(out, 'request_duration_seconds', services, columns.duration);
  yield* histogramsOf(out, 'request_wait_seconds', services, columns.wait);
  yield* perService(out, 'requests_queued', services, columns.queued);
  yield* perService(out, 'requests_in_flight', services, columns.inFlight);
  yield* perServiceBy(out, 'workers', services, 'state', columns.workers);
  yield* perService(out, 'service_paused', services, columns.paused);
  by(out, 'workers_lost_total', 'reason', counters.workersLost);
  by(out, 'workers_refused_total', 'reason', counters.workersRefused);
  out.metric('worker_cancels_total');
  out.sample('', counters.cancels);
  out.metric('requests_resumed_total');
  out.sample('', counters.resumed);
  const { sessions, sessionsAway: away } = broker.load;
  by(out, 'sessions', 'client', { connected: sessions - away, away });
  const { malformed } = counters;
  const titanic = malformed.titanic + (ofTitanic?.malformed ?? 0);
  by(out, 'messages_malformed_total', 'kind', { ...malformed, ...ofOthers, titanic });
  out.metric('messages_unexpected_total');
  out.sample('', counters.unexpected);
  out.metric('contracts_not_kept_total');
  out.sample('', counters.contractsNotKept);
  by(out, 'replies_dropped_total', 'reason', counters.repliesDropped);
  by(out, 'connections_rejected_total', 'kind', counters.connectionsRejected);
  const quotas: Record<string, number> = { ...counters.quotas };
  for (const [quota, count] of Object.entries(ofTitanic?.quotas ?? {})) {
    quotas[quota] = (quotas[quota] ?? 0) + count;
  }
  by(out, 'quota_refusals_total', 'quota', quotas);
}

/**
 * Writes a sample for each value of the only label, in the order of the table.
 * @param all the value of all together, which goes before them without a label
 */
export function by(
  out: Exposition,
  name: MetricName,
  label: string,
  values: Readonly<Record<string, number>>,
  all?: number,
): void {
  const { labels } = out.metric(name);
  if (all !== undefined) out.sample('', all);
  for (const value of labels[label] ?? []) {
    out.sample(labelText(label, value), values[value] ?? 0);
  }
}
