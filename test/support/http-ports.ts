/** The table of routes without a node, for tests of the table itself. */
import { EventFeed } from '../../src/admin/http/event-feed.js';
import type { Route } from '../../src/admin/http/route.js';
import { routesOf } from '../../src/admin/http/routes.js';
import type { Ports } from '../../src/admin/ports.js';
import { loadConfig } from '../../src/config/io/load.js';
import { extensions } from '../../src/extensions/list.js';

const never = (): never => {
  throw new Error('no route is called here');
};

/** A node with all parts. */
const PORTS: Ports = {
  node: {
    ...{ health: never, status: never, services: never, contracts: never },
    ...{ workers: never, clients: never },
  },
  pair: { status: never, switchover: never, promote: never },
  eventFeed: new EventFeed(() => 0, {}),
  publicUrl: null,
  refusals: { list: never },
  operatorApi: never,
  showsBodies: true,
  programs: false,
  metrics: { contentType: 'text/plain', render: never },
  timeSeries: {
    startedAt: '',
    peerEndpoint: null,
    present: never,
    samples: never,
    historyOf: never,
    dayOf: never,
  },
};

/** All routes of a node with all extensions. */
export async function allRoutes(): Promise<Route[]> {
  const program = '{name: a, role: request, token: sixteen-letters-or-more, client: [b]}';
  const { config } = loadConfig({ sets: [`http.tokens=[${program}]`] });
  const own = extensions().flatMap(({ routes }) => (routes === undefined ? [] : [routes(config)]));
  const others = await Promise.all(own);
  return routesOf(PORTS, others);
}
