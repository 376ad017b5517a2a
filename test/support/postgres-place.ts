/** A store in a database, without a broker. */
import { randomBytes } from 'node:crypto';

import { databaseAddressOf } from '../../src/core/postgres-url.js';
import {
  type OpenPostgres,
  openPostgresQueries,
  openPostgresStore,
  type StoreReport,
} from '../../src/extensions/postgres/postgres-store.js';
import { atEnd } from './daemon-users.js';
import { PATIENCE_MS } from './patience.js';
import type { Cluster } from './postgres-cluster.js';
import type { QueriesPlace } from './queries-contract.js';
import { type OpenStore, StoreUser } from './store-user.js';

function ignored(): void {}

type Times = Pick<OpenPostgres, 'timeoutMs' | 'leaseMs'>;

function orderOf(url: string, times: Times, hints: boolean): OpenPostgres {
  const address = databaseAddressOf(url);
  if (typeof address === 'string') throw new Error(address);
  const directoryId = randomBytes(16).toString('hex');
  return {
    login: { address, passwordFile: null, isLoopback: true },
    ...{ name: url, ...times, node: 'test', directoryId, storeId: null, hints },
  };
}

function opening(order: OpenPostgres, report: (told: StoreReport) => void): OpenStore {
  return (events) =>
    openPostgresStore(
      order,
      Object.assign(events, { foundClaimed: ignored, taken: ignored, hinted: ignored }),
      report,
    );
}

/** Of each server, a database whose tables a store has made. */
const withTables = new WeakMap<Cluster, Promise<string>>();

async function makeTables(server: Cluster): Promise<string> {
  const name = await server.database();
  await opens(server.url(name));
  return name;
}

/** A database without requests as the place of a store, for the contracts that every store keeps. */
export async function postgresPlace(server: Cluster): Promise<QueriesPlace> {
  const tables = withTables.get(server) ?? makeTables(server);
  withTables.set(server, tables);
  const url = server.url(await server.database(await tables));
  const order = orderOf(url, { timeoutMs: 60_000, leaseMs: 10_000 }, true);
  return {
    open: opening(order, ignored),
    openQueries: () => openPostgresQueries(order),
    remove: async () => {},
  };
}

/** A broker's store is opened there, and closed: in this process, since starting one takes longer. */
export async function opens(url: string): Promise<void> {
  const order = orderOf(url, { timeoutMs: PATIENCE_MS, leaseMs: 60_000 }, false);
  await (await StoreUser.open(opening(order, ignored))).close();
}

/** The store there, until `endAll`. `reports`: what it has told, also later. */
export async function openDatabaseStore(
  url: string,
  timeoutMs: number,
): Promise<{ store: StoreUser; reports: readonly StoreReport[] }> {
  const reports: StoreReport[] = [];
  const order = orderOf(url, { timeoutMs, leaseMs: 60_000 }, false);
  const store = await StoreUser.open(opening(order, (told) => reports.push(told)));
  atEnd(() => store.close());
  return { store, reports };
}
