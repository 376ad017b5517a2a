import type { FleetCounters } from './machine/counters.js';
import { by } from '../../admin/metrics/broker-metrics.js';
import type { Exposition } from '../../admin/metrics/exposition.js';

/** What the metrics read from the fleet. */
export interface FleetSource {
  readonly isUp: boolean;
  /** Other brokers that are heard. */
  readonly peers: number;
  readonly counters: Pick<FleetCounters, 'bridged' | 'returned' | 'dropped'>;
}

export function fleetMetrics(out: Exposition, { isUp, peers, counters }: FleetSource): void {
  out.metric('fleet_interconnect_up');
  out.sample('', Number(isUp));
  out.metric('fleet_peers');
  out.sample('', peers);
  by(out, 'fleet_requests_bridged_total', 'direction', counters.bridged);
  by(out, 'fleet_requests_returned_total', 'reason', counters.returned);
  by(out, 'fleet_packs_dropped_total', 'reason', counters.dropped);
}
