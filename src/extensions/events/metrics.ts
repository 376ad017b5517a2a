import type { CloseReason } from '../../stream/fan-out.js';
import { by } from '../../admin/metrics/broker-metrics.js';
import type { Exposition } from '../../admin/metrics/exposition.js';

/** What the metrics read from the stream of events. */
export interface StreamSource {
  readonly published: number;
  readonly subscribers: number;
  readonly closed: Readonly<Record<CloseReason, number>>;
}

export function streamMetrics(out: Exposition, source: StreamSource): void {
  out.metric('stream_published_total');
  out.sample('', source.published);
  out.metric('stream_subscribers');
  out.sample('', source.subscribers);
  by(out, 'stream_closed_total', 'reason', source.closed);
}
