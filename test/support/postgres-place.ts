/** A new database as the place of a store, for the contracts that every store keeps. */
import { randomBytes } from 'node:crypto';

import { placeOf } from '../../src/core/postgres-url.js';
import type { OpenPostgres } from '../../src/titanic/io/postgres/messages.js';
import { openPostgresQueries } from '../../src/titanic/io/postgres/postgres-queries.js';
import { openPostgresStore } from '../../src/titanic/io/postgres/postgres-store.js';
import type { Cluster } from './postgres-cluster.js';
import type { QueriesPlace } from './queries-contract.js';

function ignored(): void {}

/** @param hints whether brokers send each other hints through the database */
export async function postgresPlace(server: Cluster, hints: boolean): Promise<QueriesPlace> {
  const name = await server.database();
  const place = placeOf(server.url(name));
  if (typeof place === 'string') throw new Error(place);
  const home = randomBytes(16).toString('hex');
  const order: OpenPostgres = {
    login: { place, passwordFile: null, isLoopback: true },
    ...{ name, timeoutMs: 60_000, leaseMs: 10_000, node: 'test', home, storeId: null, hints },
  };
  return {
    open: (events) =>
      openPostgresStore(
        order,
        Object.assign(events, {
          ...{ kept: ignored, taken: ignored, counted: ignored },
          ...{ claimed: ignored, claimFailed: ignored, hinted: ignored },
        }),
        () => undefined,
      ),
    openQueries: () => openPostgresQueries(order),
    remove: async () => {},
  };
}
