import { type Answer, json } from './answer.js';
import { httpError } from './errors.js';
import type { HaOrder, Ports } from './ports.js';
import type { Route } from './route.js';

/** The pair, and an operator's orders to it. */
export function haRoutes({ pair }: Ports): Route[] {
  const order = (path: string, give: () => Promise<HaOrder>): Route => ({
    method: 'POST',
    path,
    access: 'changer',
    parameters: [],
    handle: async ({ body }): Promise<Answer> => {
      const [field] = Object.keys(body);
      if (field !== undefined) throw httpError('ERR_HTTP_BODY', `${field}: unknown field`);
      const result = await give();
      if (!result.done) throw httpError('ERR_HTTP_STATE', result.reason);
      return json(pair.status());
    },
  });
  return [
    {
      method: 'GET',
      path: '/api/v1/ha',
      access: 'reader',
      parameters: [],
      handle: () => json(pair.status()),
    },
    order('/api/v1/ha/switchover', () => pair.switchover()),
    order('/api/v1/ha/promote', () => pair.promote()),
  ];
}
