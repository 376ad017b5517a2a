/** The thread that answers queries, over its own connection, which cannot write. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';

import { present } from '../../../core/assert.js';
import { openBesideService } from '../file/database.js';
import { failureOf } from '../file/sqlite-errors.js';
import { QueryRunner } from './query-runner.js';
import type { QueryAnswer, QueryOrder } from '../../thread/query-messages.js';

type Database = ReturnType<typeof openBesideService>;

class QueryThread {
  readonly #path: string;
  readonly #port: MessagePort;
  #db: Database | null = null;
  #runner: QueryRunner | null = null;

  constructor(path: string, port: MessagePort) {
    this.#path = path;
    this.#port = port;
    port.on('message', (order: QueryOrder) => {
      if (order.kind === 'close') this.#close();
      else this.#carryOut(order);
    });
  }

  #carryOut(order: Exclude<QueryOrder, { kind: 'close' }>): void {
    let answer: QueryAnswer;
    try {
      answer = { id: order.id, failure: null, value: this.#read(order) };
    } catch (error) {
      const failure = failureOf(this.#path, error);
      answer = { id: order.id, failure, value: null };
      // The next query opens a new connection.
      this.#disconnect();
    }
    this.#port.postMessage(answer);
  }

  #read(order: Exclude<QueryOrder, { kind: 'close' }>): unknown {
    this.#db ??= openBesideService(this.#path);
    this.#runner ??= new QueryRunner(this.#db);
    switch (order.kind) {
      case 'page':
        return this.#runner.page(order.query);
      case 'groups':
        return this.#runner.groups(order.query);
      case 'history':
        return this.#runner.history(order.uuid);
      case 'bodies':
        return this.#runner.bodies(order.uuid);
    }
  }

  #disconnect(): void {
    this.#runner = null;
    this.#db?.close();
    this.#db = null;
  }

  #close(): void {
    this.#disconnect();
    this.#port.close();
  }
}

new QueryThread(String(workerData), present(parentPort, 'this runs in a thread'));
