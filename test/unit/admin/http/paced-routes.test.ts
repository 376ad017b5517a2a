/** Which answers are made as soon as they are asked for, and which in their turn. */
import type { HttpRequest } from '../../../../src/admin/http/route.js';
import { routesOf } from '../../../../src/admin/http/routes.js';
import type { Ports } from '../../../../src/admin/ports.js';

/** Ports that tell which of them were called. */
function recorder(called: string[], path = ''): unknown {
  return new Proxy(() => undefined, {
    get: (_target, name) => recorder(called, `${path}.${String(name)}`),
    apply: () => {
      if (path === '.operatorApi') return recorder(called, path);
      called.push(path);
      throw new Error('there is no node');
    },
  });
}

const never = (): never => {
  throw new Error('there is no connection');
};
const REQUEST: HttpRequest = {
  ...{ caller: 'changer', tokenName: 'operator', user: null, body: {} },
  parts: { uuid: '0'.repeat(32), service: 'echo' },
  query: new Map(),
  incoming: {
    ...{ address: null, headers: {}, onClosed: never, drop: never, bytes: never, repeats: never },
  },
};

it('what is cheap is answered at once; all else waits for its turn before anything is read for it', async () => {
  const called: string[] = [];
  const atOnce: string[] = [];
  for (const { method, path, parameters, handle } of routesOf(recorder(called) as Ports)) {
    if (method !== 'GET') continue;
    const query = new Map(parameters.includes('service') ? [['service', 'echo']] : []);
    called.length = 0;
    const answer = (async () => await handle({ ...REQUEST, query }))();
    if (called.length > 0) atOnce.push(path);
    await answer.catch(() => undefined);
  }
  expect(atOnce.sort()).toEqual([
    '/api/v1/events',
    '/api/v1/ha',
    '/api/v1/status',
    '/healthz',
    '/metrics',
    '/readyz',
    '/servez',
  ]);
});
