import type { Service } from '../api/node-answers.js';
import { OPERATIONS } from '../api/operations.js';
import { httpError } from './errors.js';
import type { Pace } from './pace.js';
import type { Ports } from '../ports.js';
import { jsonRoute, pacedRoute, type Route } from './route.js';

/**
 * The status, services and workers, as in `mmi.broker`, `mmi.services` and `mmi.workers`, and where
 * the workers are.
 * @param pace shared by all lists
 */
export function nodeRoutes({ node }: Ports, pace: Pace): Route[] {
  return [
    jsonRoute(OPERATIONS.status, () => node.status()),
    pacedRoute(OPERATIONS.services, pace, ({ query, caller }) => {
      const { items, next } = node.services(query);
      if (caller !== 'anyone') return { items, next };
      return { items: items.map(withoutOperator), next };
    }),
    pacedRoute(OPERATIONS.contract, pace, ({ parts: { service } }) => {
      const contracts = node.contracts(service);
      if (contracts !== null) return contracts;
      throw httpError('ERR_HTTP_NOT_FOUND', 'no worker of this service announced a contract');
    }),
    // Names of keys and addresses: nobody sees them without a token, not even on loopback.
    pacedRoute(OPERATIONS.clients, pace, ({ query }) => node.clients(query)),
    pacedRoute(OPERATIONS.workers, pace, ({ query, caller }) => {
      const { items, next } = node.workers(query);
      if (caller !== 'anyone') return { items, next };
      // Only holders of a token see who workers are.
      return { items: items.map((worker) => ({ ...worker, key: null, address: null })), next };
    }),
  ];
}

/** Only holders of a token see who set the limits of a service. */
function withoutOperator(service: Service): Service {
  const { limitsSet } = service;
  return limitsSet === null ? service : { ...service, limitsSet: { ...limitsSet, by: null } };
}
