import type { MapCounters } from './machine/events.js';
import { by } from '../../admin/metrics/broker-metrics.js';
import type { Exposition } from '../../admin/metrics/exposition.js';

/** What the metrics read from the map. */
export interface MapSource {
  /** Keys, the broker's own included. */
  readonly keys: number;
  readonly bytes: number;
  readonly counters: Pick<MapCounters, 'updates' | 'conflicts' | 'snapshots'>;
}

export function mapMetrics(out: Exposition, { keys, bytes, counters }: MapSource): void {
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
