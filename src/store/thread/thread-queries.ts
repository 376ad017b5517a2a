/** The main thread's side of the query port. The thread starts with the first query. */
import { Worker } from 'node:worker_threads';

import { present } from '../../core/assert.js';
import { messageOf } from '../../core/errors.js';
import { PackReader, PackWriter } from '../../core/value-bytes.js';
import type { Shape } from '../../core/shapes.js';
import { type Bodies, type ShownBody, shownBody } from '../bodies.js';
import { unpackFailure } from '../failure-codec.js';
import { keptIn, readHeadersIn } from '../fields.js';
import type {
  GroupPage,
  GroupQuery,
  OwnedKey,
  PageQuery,
  RequestHistory,
  RequestPage,
  StoreQueries,
} from '../queries.js';
import { scanQueryOf } from '../scan.js';
import type { RequestUuid, StoreFailure } from '../store.js';
import { type ArgsOf, OPERATIONS, putOrder, type ResultOf } from './operations.js';
import type { QueryName } from './query-operations.js';
import { unpackListed } from './request-messages.js';
import { DONE_ANSWER } from './thread-answers.js';

/** Maximum number of queries that wait for an answer; more are refused. */
const QUERIES_MAX = 64;
const ORDERS_BYTES = 512;
/** The number of a call that is not answered. */
const UNANSWERED = 0;

const TOO_MANY: StoreFailure = {
  kind: 'busy',
  message: 'too many queries of durable requests at the same time: try again',
};

/** A thread that answers queries. */
interface QueryThread {
  readonly script: URL;
  readonly workerData: unknown;
  /** The store, in messages. */
  readonly name: string;
}

export interface ClosableQueries extends StoreQueries {
  /** Must be closed before the store, which empties its log when it is the last to close it. */
  close(): Promise<void>;
}

interface PendingQuery {
  answered(isDone: boolean, message: PackReader): void;
  failed(failure: StoreFailure): void;
}

export class ThreadQueries implements ClosableQueries {
  readonly #how: QueryThread;
  #thread: Worker | null = null;
  #ended: Promise<void> = Promise.resolve();
  #last = 0;
  readonly #pending = new Map<number, PendingQuery>();

  constructor(how: QueryThread) {
    this.#how = how;
  }

  page(query: PageQuery, answer: (page: RequestPage | StoreFailure) => void): void {
    this.#ask('page', [scanQueryOf(query)], answer, ({ listed, ...scan }) => ({
      ...scan,
      get requests() {
        return unpackListed(listed);
      },
    }));
  }

  groups(query: GroupQuery, answer: (page: GroupPage | StoreFailure) => void): void {
    this.#ask('groups', [scanQueryOf(query), query.by], answer, (page) => page);
  }

  history(
    uuid: RequestUuid,
    answer: (history: RequestHistory | null | StoreFailure) => void,
  ): void {
    this.#ask('history', [uuid], answer, (history) => {
      if (history === null) return null;
      const { listed, extra, attempts, ...rest } = history;
      const request = present(unpackListed(listed)[0], 'a history is of one request');
      const read = attempts.map((each) => ({ ...each, failure: unpackFailure(each.failure) }));
      return { request, ...rest, attempts: read, ...keptIn(extra) };
    });
  }

  bodies(uuid: RequestUuid, answer: (bodies: Bodies | null | StoreFailure) => void): void {
    this.#ask('bodies', [uuid], answer, (bodies) => {
      if (bodies === null) return null;
      const { body, bodyBytes, reply, replyBytes, extra } = bodies;
      const headers = readHeadersIn(extra);
      return { headers, body: bodyOf(body, bodyBytes), reply: bodyOf(reply, replyBytes) };
    });
  }

  hasKeys(
    keys: readonly OwnedKey[],
    answer: (known: readonly boolean[] | StoreFailure) => void,
  ): void {
    this.#ask('hasKeys', [keys], answer, (known) => known);
  }

  async close(): Promise<void> {
    if (this.#thread !== null) post(this.#thread, 'close', UNANSWERED, []);
    await this.#ended;
  }

  #ask<Name extends QueryName, Value>(
    name: Name,
    args: ArgsOf<Name>,
    answer: (value: Value | StoreFailure) => void,
    read: (result: ResultOf<Name>) => Value,
  ): void {
    if (this.#pending.size >= QUERIES_MAX) {
      queueMicrotask(() => answer(TOO_MANY));
      return;
    }
    const { result, failure } = OPERATIONS[name];
    const id = ++this.#last;
    this.#pending.set(id, {
      answered: (isDone, message) => {
        if (isDone) answer(read((result as Shape<ResultOf<Name>>).take(message)));
        else answer(failure.take(message));
      },
      failed: answer,
    });
    this.#thread ??= this.#start();
    post(this.#thread, name, id, args);
  }

  #start(): Worker {
    const { script, workerData, name } = this.#how;
    const thread = new Worker(script, { workerData, name: 'queries' });
    thread.on('message', (answers: Uint8Array) => {
      const message = new PackReader(answers);
      const isDone = message.byte() === DONE_ANSWER;
      const id = message.number();
      const query = this.#pending.get(id);
      this.#pending.delete(id);
      query?.answered(isDone, message);
    });
    let why = 'the query thread ended';
    thread.on('error', (error) => {
      why = messageOf(error);
    });
    this.#ended = new Promise((resolve) => {
      thread.on('exit', () => {
        // The next query starts another thread.
        this.#thread = null;
        const queries = [...this.#pending.values()];
        this.#pending.clear();
        const failure = { kind: 'busy', message: `store ${name}: ${why}; try again` } as const;
        for (const query of queries) query.failed(failure);
        resolve();
      });
    });
    return thread;
  }
}

function post<Name extends QueryName | 'close'>(
  thread: Worker,
  name: Name,
  id: number,
  args: ArgsOf<Name>,
): void {
  const orders = new PackWriter(ORDERS_BYTES);
  putOrder(orders, name, id);
  (OPERATIONS[name].args as Shape<typeof args>).put(orders, args);
  const bytes = orders.take();
  thread.postMessage(bytes, [bytes.buffer]);
}

/** @param packed `null` also of an empty body: that is what `substr` makes of one in SQLite */
function bodyOf(packed: Buffer | null, bytes: number | null): ShownBody | null {
  return bytes === null ? null : shownBody(packed ?? Buffer.alloc(0), bytes);
}
