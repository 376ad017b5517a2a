import type { MapCounters } from './machine/events.js';
import { by } from '../../admin/metrics/broker-metrics.js';
import type { Exposition } from '../../admin/metrics/exposition.js';

/** What the metrics read from the map. */
export interface MapSource {
  /** Keys, the broker's own included. */
  readonly keys: number;
  readonly bytes: number;
  readonly counters: Pick<MapCounters, 'updates' | 'conflicts' | 'snapshots'>;
  /** Messages that were dropped because they break a rule. */
  readonly malformed: number;
}

const NO_MAP: MapSource = {
  keys: 0,
  bytes: 0,
  counters: {
    updates: { applied: 0, deleted: 0, expired: 0, refused: 0 },
    conflicts: 0,
    snapshots: 0,
  },
  malformed: 0,
};

/** @param given `null`: there is no map */
export function mapMetrics(out: Exposition, given: MapSource | null): void {
  const { keys, bytes, counters } = given ?? NO_MAP;
  out.metric('map_keys');
  out.sample('', keys);
  out.metric('map_bytes');
  out.sample('', bytes);
  by(out, 'map_updates_total', 'result', counters.updates);
  out.metric('map_conflicts_total');
  out.sample('', counters.conflicts);
  out.metric('map_snapshots_total');
  out.sample('', counters.snapshots);
}
