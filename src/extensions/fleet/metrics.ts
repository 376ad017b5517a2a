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

const NO_FLEET: FleetSource = {
  isUp: false,
  peers: 0,
  counters: {
    bridged: { out: 0, in: 0 },
    returned: { busy: 0, returned: 0, lost: 0 },
    dropped: {
      ...{ garbage: 0, version: 0, fleet: 0, replayed: 0, jump: 0, unknown: 0 },
      ...{ late: 0, chunk: 0, full: 0 },
    },
  },
};

/** @param given `null`: the node is in no fleet */
export function fleetMetrics(out: Exposition, given: FleetSource | null): void {
  const { isUp, peers, counters } = given ?? NO_FLEET;
  out.metric('fleet_interconnect_up');
  out.sample('', Number(isUp));
  out.metric('fleet_peers');
  out.sample('', peers);
  by(out, 'fleet_requests_bridged_total', 'direction', counters.bridged);
  by(out, 'fleet_requests_returned_total', 'reason', counters.returned);
  by(out, 'fleet_packs_dropped_total', 'reason', counters.dropped);
}
