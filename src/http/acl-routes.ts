import { json } from './answer.js';
import type { Ports } from './ports.js';
import type { Route } from './route.js';

const KEPT_MAX = 1000;

/** Who was refused: names of keys and addresses, so nobody without a token, not on loopback either. */
export function aclRoutes({ refusals }: Ports): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/acl/log',
      access: 'holder',
      parameters: ['limit'],
      handle: ({ query }) => {
        const kept = refusals.list(query.integer('limit', 1, KEPT_MAX) ?? KEPT_MAX);
        const items = kept.map(({ firstAt, lastAt, ...facts }) => ({
          ...facts,
          firstAt: new Date(firstAt).toISOString(),
          lastAt: new Date(lastAt).toISOString(),
        }));
        return json({ items });
      },
    },
  ];
}
