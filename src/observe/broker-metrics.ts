import type { BrokerCounters } from '../broker/counters.js';
import type { ServiceGauges } from '../broker/gauges.js';
import type { ByLabel } from '../broker/request-counters.js';
import type { Histograms } from '../core/histogram.js';
import { type Exposition, labelText } from './exposition.js';
import type { MetricName } from './metric-table.js';

/** What is read of a broker. */
export interface BrokerSource {
  readonly counters: BrokerCounters;
  readonly gauges: ServiceGauges;
}

/** @param malformedTitanic malformed requests for `titanic.*`, which the broker does not read */
export function brokerMetrics(
  out: Exposition,
  { counters, gauges }: BrokerSource,
  malformedTitanic: number,
): void {
  const { requests } = counters;
  const services = requests.labels.names.map((name) => labelText('service', name));
  const perService = (name: MetricName, values: ByLabel): void => {
    out.metric(name);
    for (const [label, text] of services.entries()) out.sample(text, values[label] ?? 0);
  };
  perService('requests_received_total', requests.received);
  perService('requests_replied_total', requests.replied);
  perService('requests_requeued_total', requests.requeued);
  perService('requests_expired_total', requests.expired);
  perServiceBy(out, 'requests_refused_total', services, 'reason', requests.refused);
  perService('requests_abandoned_total', requests.abandoned);
  const dropped = { client_gone: requests.dropped };
  perServiceBy(out, 'requests_dropped_total', services, 'reason', dropped);
  histograms(out, 'request_duration_seconds', services, requests.duration);
  histograms(out, 'request_wait_seconds', services, requests.wait);
  perService('requests_queued', gauges.queued);
  perService('requests_in_flight', gauges.inFlight);
  perServiceBy(out, 'workers', services, 'state', gauges.workers);
  by(out, 'workers_lost_total', 'reason', counters.workersLost);
  by(out, 'workers_refused_total', 'reason', counters.workersRefused);
  const { malformed } = counters;
  const titanic = malformed.titanic + malformedTitanic;
  by(out, 'messages_malformed_total', 'kind', { ...malformed, titanic });
  by(out, 'replies_dropped_total', 'reason', counters.repliesDropped);
}

function perServiceBy(
  out: Exposition,
  name: MetricName,
  services: readonly string[],
  label: string,
  values: Readonly<Record<string, ByLabel>>,
): void {
  const { labels } = out.metric(name);
  const others = labels[label] ?? [];
  const texts = others.map((value) => [values[value], labelText(label, value)] as const);
  for (const [at, service] of services.entries()) {
    for (const [counts, text] of texts) out.sample(`${service},${text}`, counts?.[at] ?? 0);
  }
}

function histograms(
  out: Exposition,
  name: MetricName,
  services: readonly string[],
  values: Histograms,
): void {
  out.metric(name);
  for (const [label, text] of services.entries()) out.histogram(text, values, label, 1000);
}

/** One sample for each value of the one label, in the order of the table. */
export function by(
  out: Exposition,
  name: MetricName,
  label: string,
  values: Readonly<Record<string, number>>,
): void {
  const { labels } = out.metric(name);
  for (const value of labels[label] ?? []) {
    out.sample(labelText(label, value), values[value] ?? 0);
  }
}
