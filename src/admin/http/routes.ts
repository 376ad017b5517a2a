import { monotonicMs } from '../../core/clock.js';
import { secureRandom } from '../../core/random.js';
import { aclRoutes } from './acl-routes.js';
import { eventRoutes } from './event-routes.js';
import { haRoutes } from './ha-routes.js';
import { healthRoutes } from './health-routes.js';
import { nodeRoutes } from './node-routes.js';
import { openApiRoute } from './openapi-route.js';
import { overviewRoutes } from './overview-routes.js';
import { Pace } from './pace.js';
import type { Ports } from '../ports.js';
import type { Route } from './route.js';
import { storedRoutes } from './stored-routes.js';
import { Cursors } from './uuids.js';

/**
 * The table of all routes. Each part of the node has its own file.
 * @param others of extensions
 */
export function routesOf(
  ports: Ports,
  others: readonly ((pace: Pace) => readonly Route[])[] = [],
): Route[] {
  const lists = new Pace(monotonicMs);
  return [
    ...healthRoutes(ports),
    ...nodeRoutes(ports, lists),
    ...others.flatMap((routes) => routes(lists)),
    ...overviewRoutes(ports),
    ...haRoutes(ports),
    ...storedRoutes(ports, lists, new Cursors(secureRandom)),
    ...eventRoutes(ports),
    ...aclRoutes(ports, lists),
    openApiRoute(),
  ];
}
