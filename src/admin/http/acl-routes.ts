import { OPERATIONS } from '../api/operations.js';
import type { Pace } from './pace.js';
import type { Ports } from '../ports.js';
import { pacedRoute, type Route } from './route.js';

/**
 * Recent refusals. They name keys and addresses, so nobody sees them without a token, not even on
 * loopback.
 * @param pace shared by all lists
 */
export function aclRoutes({ refusals }: Ports, pace: Pace): Route[] {
  return [
    pacedRoute(OPERATIONS.refusals, pace, ({ query }) => {
      const items = refusals.list(query.limit).map(({ firstAt, lastAt, ...facts }) => ({
        ...facts,
        firstAt: new Date(firstAt).toISOString(),
        lastAt: new Date(lastAt).toISOString(),
      }));
      return { items };
    }),
  ];
}
