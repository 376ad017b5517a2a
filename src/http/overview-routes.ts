import { monotonicMs } from '../core/clock.js';
import { json } from './answer.js';
import { wrongParameter } from './errors.js';
import { Pace } from './pace.js';
import type { HaStatus, Ports } from './ports.js';
import type { Route } from './route.js';

const SAMPLES_MAX = 1e12;

function seen({ up, state, publicUrl }: NonNullable<HaStatus['peer']>): object {
  return { up, state, publicUrl };
}

/** All that a page asks once a second, and how fast each service is: cheap, whoever looks. */
export function overviewRoutes({ node, pair, timeSeries }: Ports): Route[] {
  // Of its own: however many lists are asked for, the page goes on.
  const pace = new Pace(monotonicMs);
  return [
    {
      method: 'GET',
      path: '/api/v1/overview',
      access: 'reader',
      parameters: ['since'],
      handle: ({ query }) =>
        pace.run(() => {
          const { node: name, version, uptimeMs, role, state, epoch } = node.status();
          const { notReady, degraded } = node.health();
          const { peer, inSync } = pair.status();
          const { peerEndpoint: endpoint, startedAt } = timeSeries;
          return json({
            node: name,
            version,
            startedAt,
            uptimeMs,
            role,
            state,
            epoch,
            ready: notReady === null,
            reason: notReady,
            degraded,
            peer: peer === null ? null : { endpoint, ...seen(peer), inSync },
            ...timeSeries.present(),
            ...timeSeries.samples(query.integer('since', 0, SAMPLES_MAX) ?? 0),
          });
        }),
    },
    {
      method: 'GET',
      path: '/api/v1/overview/services',
      access: 'reader',
      parameters: [],
      handle: () => pace.run(() => json({ items: timeSeries.services() })),
    },
    {
      method: 'GET',
      path: '/api/v1/services/history',
      access: 'reader',
      parameters: ['service', 'since'],
      handle: ({ query }) =>
        pace.run(() => {
          const service = query.service();
          if (service === null) throw wrongParameter('service', 'is missing: name a service');
          const since = query.integer('since', 0, SAMPLES_MAX) ?? 0;
          return json({ startedAt: timeSeries.startedAt, ...timeSeries.historyOf(service, since) });
        }),
    },
  ];
}
