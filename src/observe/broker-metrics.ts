import type { BrokerCounters } from '../broker/counters.js';
import type { ServiceGauges } from '../broker/gauges.js';
import { histogramsOf, labelled, perService, perServiceBy } from './by-service.js';
import { type Exposition, labelText } from './exposition.js';
import type { MetricName } from './metric-table.js';

/** What the metrics read from a broker. */
export interface BrokerSource {
  readonly counters: BrokerCounters;
  readonly gauges: ServiceGauges;
}

/**
 * @param unread malformed messages that the broker does not read: requests for `titanic.*`, and what
 * the map gets
 */
export function brokerMetrics(
  out: Exposition,
  { counters, gauges }: BrokerSource,
  unread: { readonly titanic: number; readonly map: number },
): void {
  const { requests } = counters;
  const services = labelled(requests.labels, () => true);
  perService(out, 'requests_received_total', services, requests.received);
  perService(out, 'requests_replied_total', services, requests.replied);
  perServiceBy(out, 'requests_failed_total', services, 'kind', requests.failed);
  perService(out, 'requests_requeued_total', services, requests.requeued);
  perService(out, 'requests_expired_total', services, requests.expired);
  perServiceBy(out, 'requests_refused_total', services, 'reason', requests.refused);
  perService(out, 'requests_abandoned_total', services, requests.abandoned);
  const dropped = { client_gone: requests.dropped };
  perServiceBy(out, 'requests_dropped_total', services, 'reason', dropped);
  histogramsOf(out, 'request_duration_seconds', services, requests.duration);
  histogramsOf(out, 'request_wait_seconds', services, requests.wait);
  perService(out, 'requests_queued', services, gauges.queued);
  perService(out, 'requests_in_flight', services, gauges.inFlight);
  perServiceBy(out, 'workers', services, 'state', gauges.workers);
  by(out, 'workers_lost_total', 'reason', counters.workersLost);
  by(out, 'workers_refused_total', 'reason', counters.workersRefused);
  const { malformed } = counters;
  const titanic = malformed.titanic + unread.titanic;
  by(out, 'messages_malformed_total', 'kind', { ...malformed, titanic, map: unread.map });
  out.metric('messages_unexpected_total');
  out.sample('', counters.unexpected);
  by(out, 'replies_dropped_total', 'reason', counters.repliesDropped);
}

/**
 * One sample for each value of the only label, in the order of the table.
 * @param all of all together, which goes before them without a label
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
