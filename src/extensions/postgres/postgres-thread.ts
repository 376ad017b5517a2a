/** The thread of a store in PostgreSQL. Apart from the orders, because it begins with its import. */
import { parentPort, workerData } from 'node:worker_threads';

import { present } from '../../core/assert.js';
import { codeOf, detailsOf, messageOf } from '../../core/errors.js';
import type { OpenFailure } from '../../store/thread/opening.js';
import { PROCESS_CLOCK } from './clock.js';
import { storeText } from './failures.js';
import type { OpenPostgres, StoreReport } from './postgres-store.js';
import { dialTables } from './sql-tables.js';
import { StoreConnections } from './store-connections.js';
import { StoreOrders } from './store-orders.js';

async function start(): Promise<void> {
  const port = present(parentPort, 'this runs in a thread');
  const open = workerData as OpenPostgres;
  const report = (news: StoreReport): void => port.postMessage(news);
  try {
    const server = { clock: PROCESS_CLOCK, random: Math.random, dial: dialTables(open.login) };
    const store = await StoreConnections.begin(open, server, report);
    new StoreOrders(open, PROCESS_CLOCK, port, store);
  } catch (error) {
    const known = codeOf(error)?.startsWith('ERR_TITANIC_') === true;
    const code = known ? codeOf(error) : 'ERR_TITANIC_STORE_AWAY';
    const details = detailsOf(error);
    const message = known ? messageOf(error) : storeText(open.name, error);
    port.postMessage({ code: code ?? '', message, details } satisfies OpenFailure);
  }
}

void start();
