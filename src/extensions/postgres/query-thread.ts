/** The thread that answers queries for display, over a connection of its own. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';

import { present } from '../../core/assert.js';
import type { QueryAnswer, QueryOrder } from '../../store/thread/query-messages.js';
import type { Connection } from './connection.js';
import { failureOf } from './failures.js';
import { Lane } from './lane.js';
import type { OpenPostgres } from './messages.js';
import { mustBeStore } from './reader.js';
import { bodies, history, page } from './query-runner.js';

/** People wait for it, but a page may examine many rows. */
const QUERY_MS = 30_000;

type Query = Exclude<QueryOrder, { kind: 'close' }>;

class QueryThread {
  readonly #port: MessagePort;
  readonly #name: string;
  readonly #lane: Lane;

  constructor({ login, name, timeoutMs, storeId }: OpenPostgres, port: MessagePort) {
    this.#name = name;
    this.#port = port;
    this.#lane = new Lane(
      login,
      timeoutMs,
      { place: 0 },
      {
        connected: async (connection) => {
          if (storeId !== null) await mustBeStore(connection, name, storeId);
        },
        unreachable: () => undefined,
        retried: () => undefined,
      },
    );
    port.on('message', (order: QueryOrder) => {
      if (order.kind === 'close') void this.#close();
      else void this.#carryOut(order);
    });
  }

  async #carryOut(order: Query): Promise<void> {
    const { id } = order;
    try {
      const until = performance.now() + QUERY_MS;
      const value = await this.#lane.use(until, (connection) => read(connection, order));
      this.#port.postMessage({ id, failure: null, value } satisfies QueryAnswer);
    } catch (error) {
      const failure = failureOf(this.#name, error);
      this.#port.postMessage({ id, failure, value: null } satisfies QueryAnswer);
    }
  }

  async #close(): Promise<void> {
    await this.#lane.close();
    this.#port.close();
  }
}

async function read(connection: Connection, order: Query): Promise<unknown> {
  switch (order.kind) {
    case 'page':
      return await page(connection, order.query);
    case 'history':
      return await history(connection, order.uuid);
    case 'bodies':
      return await bodies(connection, order.uuid);
  }
}

new QueryThread(workerData as OpenPostgres, present(parentPort, 'this runs in a thread'));
