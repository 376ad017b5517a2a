import { json } from './answer.js';
import type { Pace } from './pace.js';
import type { Page, Ports, WorkerSeen } from './ports.js';
import { LIST_PARAMETERS } from './query.js';
import type { Route } from './route.js';

/** `served`: it has workers. `unserved`: requests wait, plain or stored, and no worker is there. */
const SERVICE_STATES: readonly string[] = ['served', 'unserved'];
const WORKER_STATES: readonly string[] = ['waiting', 'busy'];

/**
 * What `mmi.broker`, `mmi.services` and `mmi.workers` tell, and where workers are.
 * @param pace of all lists
 */
export function nodeRoutes({ node }: Ports, pace: Pace): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/status',
      access: 'reader',
      parameters: [],
      handle: () => json(node.status()),
    },
    {
      method: 'GET',
      path: '/api/v1/services',
      access: 'reader',
      parameters: LIST_PARAMETERS,
      handle: ({ query }) => pace.run(() => json(node.services(query.list(SERVICE_STATES)))),
    },
    {
      method: 'GET',
      path: '/api/v1/workers',
      access: 'reader',
      parameters: LIST_PARAMETERS,
      handle: ({ query, standing }) =>
        pace.run(() => {
          const page = node.workers(query.list(WORKER_STATES));
          return json(standing === 'anyone' ? withoutAddresses(page) : page);
        }),
    },
  ];
}

/** Where workers are is for those alone who gave a token. */
function withoutAddresses({ items, next }: Page<WorkerSeen>): unknown {
  return { items: items.map((worker) => ({ ...worker, address: null })), next };
}
