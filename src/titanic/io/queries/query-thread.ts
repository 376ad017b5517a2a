/** The thread that reads lists for display, over its own connection, which cannot write. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';

import { present } from '../../../core/assert.js';
import { openBesideService } from '../file/database.js';
import { failureOf } from '../file/sqlite-errors.js';
import { Reader } from './query-runner.js';
import type { ReadAnswer, ReadOrder } from './query-messages.js';

type Database = ReturnType<typeof openBesideService>;

class ReadingThread {
  readonly #path: string;
  readonly #port: MessagePort;
  #db: Database | null = null;
  #reader: Reader | null = null;

  constructor(path: string, port: MessagePort) {
    this.#path = path;
    this.#port = port;
    port.on('message', (order: ReadOrder) => {
      if (order.kind === 'close') this.#close();
      else this.#carryOut(order);
    });
  }

  #carryOut(order: Exclude<ReadOrder, { kind: 'close' }>): void {
    let answer: ReadAnswer;
    try {
      answer = { id: order.id, failure: null, value: this.#read(order) };
    } catch (error) {
      const failure = failureOf(this.#path, error);
      answer = { id: order.id, failure, value: null };
      // The next question opens a new connection.
      this.#disconnect();
    }
    this.#port.postMessage(answer);
  }

  #read(order: Exclude<ReadOrder, { kind: 'close' }>): unknown {
    this.#db ??= openBesideService(this.#path);
    this.#reader ??= new Reader(this.#db);
    switch (order.kind) {
      case 'page':
        return this.#reader.page(order.question);
      case 'history':
        return this.#reader.history(order.uuid);
      case 'bodies':
        return this.#reader.bodies(order.uuid);
    }
  }

  #disconnect(): void {
    this.#reader = null;
    this.#db?.close();
    this.#db = null;
  }

  #close(): void {
    this.#disconnect();
    this.#port.close();
  }
}

new ReadingThread(String(workerData), present(parentPort, 'this runs in a thread'));
