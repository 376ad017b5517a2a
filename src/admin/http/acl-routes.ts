import { OPERATIONS } from '../api/operations.js';
import type { Ports } from '../ports.js';
import { jsonRoute, type Route } from './route.js';

/**
 * Recent refusals. They name keys and addresses, so nobody sees them without a token, not even on
 * loopback.
 */
export function aclRoutes({ refusals }: Ports): Route[] {
  return [
    jsonRoute(OPERATIONS.refusals, ({ query }) => {
      const items = refusals.list(query.limit).map(({ firstAt, lastAt, ...facts }) => ({
        ...facts,
        firstAt: new Date(firstAt).toISOString(),
        lastAt: new Date(lastAt).toISOString(),
      }));
      return { items };
    }),
  ];
}
