/** The thread that answers queries, over its own connection, which cannot write. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';

import { present } from '../../../core/assert.js';
import { PackReader } from '../../../core/value-bytes.js';
import { openBesideService } from '../file/database.js';
import { failureOf } from '../file/sqlite-errors.js';
import { QueryRunner } from './query-runner.js';
import { type OrderOf, type ResultOf, takeOrders } from '../../thread/operations.js';
import type { QueryName } from '../../thread/query-operations.js';
import { ThreadAnswers } from '../../thread/thread-answers.js';

type Database = ReturnType<typeof openBesideService>;

class QueryThread {
  readonly #path: string;
  readonly #port: MessagePort;
  readonly #answers: ThreadAnswers;
  #db: Database | null = null;
  #runner: QueryRunner | null = null;

  constructor(path: string, port: MessagePort) {
    this.#path = path;
    this.#port = port;
    this.#answers = new ThreadAnswers(port);
    port.on('message', (message: Uint8Array) => {
      for (const order of takeOrders<QueryName | 'close'>(new PackReader(message))) {
        if (order.name === 'close') this.#close();
        else this.#carryOut(order);
      }
    });
  }

  #carryOut(order: OrderOf<QueryName>): void {
    try {
      this.#answers.done(order, this.#read(order));
    } catch (error) {
      this.#answers.failed(order, failureOf(this.#path, error));
      // The next query opens a new connection.
      this.#disconnect();
    }
    this.#answers.send();
  }

  #read(order: OrderOf<QueryName>): ResultOf<QueryName> {
    this.#db ??= openBesideService(this.#path);
    this.#runner ??= new QueryRunner(this.#db);
    switch (order.name) {
      case 'page':
        return this.#runner.page(...order.args);
      case 'groups':
        return this.#runner.groups(...order.args);
      case 'history':
        return this.#runner.history(...order.args);
      case 'bodies':
        return this.#runner.bodies(...order.args);
      case 'hasKeys':
        return this.#runner.hasKeys(...order.args);
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
