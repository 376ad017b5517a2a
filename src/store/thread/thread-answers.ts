/** What a store's thread answers and tells: all of one moment in one message. */
import type { MessagePort } from 'node:worker_threads';

import { PackWriter } from '../../core/value-bytes.js';
import {
  NEWS,
  NEWS_NAMES,
  type NewsName,
  OPERATIONS,
  type OperationName,
  type OrderOf,
  type ResultOf,
} from './operations.js';
import type { MergeFailure, StoreFailure } from '../store.js';
import { packPending, type PendingRow } from './request-messages.js';
import type { Shape, ValueOf } from '../../core/shapes.js';

const ANSWER_BYTES = 4096;

/** What follows: the result of a call, why it failed, or news. */
export const DONE_ANSWER = 0;
const FAILED_ANSWER = 1;
export const NEWS_ANSWER = 2;

/** What is known of a call when it is answered. */
interface Asked<Name> {
  readonly name: Name;
  readonly id: number;
}

export class ThreadAnswers {
  readonly #port: Pick<MessagePort, 'postMessage'>;
  #writer = new PackWriter(ANSWER_BYTES);

  constructor(port: Pick<MessagePort, 'postMessage'>) {
    this.#port = port;
  }

  done<Name extends OperationName>({ name, id }: Asked<Name>, result: ResultOf<Name>): void {
    this.#begin(DONE_ANSWER, id);
    (OPERATIONS[name].result as Shape<ResultOf<Name>>).put(this.#writer, result);
  }

  /** The result of a list, as rows of the store. */
  donePending({ id }: OrderOf<'list'>, rows: readonly PendingRow[]): void {
    this.#begin(DONE_ANSWER, id);
    packPending(this.#writer, rows);
  }

  failed({ name, id }: Asked<OperationName>, failure: StoreFailure): void {
    this.#begin(FAILED_ANSWER, id);
    OPERATIONS[name].failure.put(this.#writer, failure);
  }

  /** The records of a merge are none. */
  malformed({ id }: OrderOf<'merge'>, failure: MergeFailure): void {
    this.#begin(FAILED_ANSWER, id);
    OPERATIONS.merge.failure.put(this.#writer, failure);
  }

  news<Name extends NewsName>(name: Name, value: ValueOf<(typeof NEWS)[Name]>): void {
    this.#begin(NEWS_ANSWER, NEWS_NAMES.indexOf(name));
    (NEWS[name] as Shape<typeof value>).put(this.#writer, value);
  }

  #begin(what: number, id: number): void {
    this.#writer.byte(what);
    this.#writer.number(id);
  }

  send(): void {
    if (this.#writer.isEmpty) return;
    const bytes = this.#writer.take();
    this.#writer = new PackWriter(ANSWER_BYTES);
    this.#port.postMessage(bytes, [bytes.buffer]);
  }
}
