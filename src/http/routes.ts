import { eventRoutes } from './event-routes.js';
import { haRoutes } from './ha-routes.js';
import { healthRoutes } from './health-routes.js';
import { nodeRoutes } from './node-routes.js';
import { openApiRoute } from './openapi-route.js';
import { overviewRoutes } from './overview-routes.js';
import type { Ports } from './ports.js';
import type { Route } from './route.js';
import { storedRoutes } from './stored-routes.js';

/** The table of all that is answered: a file of routes for each part of the node. */
export function routesOf(ports: Ports): Route[] {
  return [
    ...healthRoutes(ports),
    ...nodeRoutes(ports),
    ...overviewRoutes(ports),
    ...haRoutes(ports),
    ...storedRoutes(ports),
    ...eventRoutes(ports),
    openApiRoute(),
  ];
}
