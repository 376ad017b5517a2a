import { monotonicMs } from '../../core/clock.js';
import { OPERATIONS } from '../api/operations.js';
import type { Overview } from '../api/node-answers.js';
import { Pace } from './pace.js';
import type { Ports } from '../ports.js';
import { type Caller, pacedRoute, readingRoute, type Route } from './route.js';

/** What the page requests every second: cheap, however many pages are open. */
export function overviewRoutes(ports: Ports): Route[] {
  const { timeSeries } = ports;
  // Not shared with the lists: the page keeps working however many lists are requested.
  const pace = new Pace(monotonicMs);
  return [
    pacedRoute(OPERATIONS.overview, pace, ({ query, caller }) =>
      overview(ports, query.since, caller),
    ),
    pacedRoute(OPERATIONS.serviceHistory, pace, ({ query: { service, since }, caller }) => ({
      startedAt: timeSeries.startedAt,
      ...timeSeries.historyOf(service, since, caller !== 'anyone'),
    })),
    readingRoute(
      OPERATIONS.day,
      pace,
      ({ query: { service } }) => timeSeries.dayOf(service),
      (day) => day,
    ),
  ];
}

function overview(
  { node, pair, timeSeries, programs }: Ports,
  since: number,
  caller: Caller,
): Overview {
  const { node: name, version, uptimeMs, role, state, epoch } = node.status();
  const { notReady, degraded } = node.health();
  return {
    node: name,
    version,
    startedAt: timeSeries.startedAt,
    uptimeMs,
    role,
    state,
    epoch,
    ready: notReady === null,
    reason: notReady,
    degraded,
    programs,
    access: caller === 'changer' ? 'operate' : caller === 'anyone' ? 'none' : 'read',
    peer: peerOf({ pair, timeSeries }),
    ...timeSeries.present(),
    ...timeSeries.samples(since),
  };
}

function peerOf({ pair, timeSeries }: Pick<Ports, 'pair' | 'timeSeries'>): Overview['peer'] {
  const { peer, inSync } = pair.status();
  if (peer === null) return null;
  const { up, state, publicUrl } = peer;
  return { endpoint: timeSeries.peerEndpoint, up, state, publicUrl, inSync };
}
