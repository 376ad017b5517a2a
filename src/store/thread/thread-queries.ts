/** The main thread's side of the query port. The thread starts with the first query. */
import { numberOfFilter } from '../stored-filter.js';
import { Worker } from 'node:worker_threads';

import { messageOf } from '../../core/errors.js';
import { type Bodies, type ShownBody, shownBody } from '../bodies.js';
import { unpackFailure } from '../failure-codec.js';
import { keptIn, readHeadersIn } from '../fields.js';
import type { PackedGroup } from '../group-counts.js';
import type {
  GroupPage,
  GroupQuery,
  PageQuery,
  RequestGroup,
  RequestPage,
  Scan,
  StoreQueries,
  RequestHistory,
  HistoryAttempt,
  ListedRequest,
} from '../queries.js';
import { requestFrom } from '../request.js';
import { RowReader } from '../rows.js';
import type { PackedPageQuery } from '../scan.js';
import { boundsOf, digitsOf } from '../stored-filter.js';
import type { RequestUuid, StoredState, StoreFailure } from '../store.js';
import type {
  AttemptRow,
  BodyRows,
  QueryAnswer,
  QueryOrder,
  HistoryRows,
  ListedRow,
  PackedGroups,
  PackedPage,
  PackedScan,
} from './query-messages.js';
import { DEAD, PENDING, REPLIED } from '../sqlite/file/schema.js';

/** Maximum number of queries that wait for an answer; more are refused. */
const QUERIES_MAX = 64;

const TOO_MANY: StoreFailure = {
  kind: 'busy',
  message: 'too many queries of durable requests at the same time: try again',
};

const STATE_NUMBERS: Readonly<Record<StoredState, number>> = {
  pending: PENDING,
  replied: REPLIED,
  dead: DEAD,
};

type Query = Exclude<QueryOrder, { kind: 'close' }>;
/** The queries, without their numbers. */
type Unnumbered<Each> = Each extends Each ? Omit<Each, 'id'> : never;

/** A thread that answers queries. */
export interface QueryThread {
  readonly script: URL;
  readonly workerData: unknown;
  /** The store, in messages. */
  readonly name: string;
}

export interface ClosableQueries extends StoreQueries {
  /** Must be closed before the store, which empties its log when it is the last to close it. */
  close(): Promise<void>;
}

export class ThreadQueries implements ClosableQueries {
  readonly #how: QueryThread;
  #thread: Worker | null = null;
  #ended: Promise<void> = Promise.resolve();
  #last = 0;
  readonly #pending = new Map<number, (answer: QueryAnswer) => void>();

  constructor(how: QueryThread) {
    this.#how = how;
  }

  page(query: PageQuery, answer: (page: RequestPage | StoreFailure) => void): void {
    const order = { kind: 'page', query: packedQuery(query) } as const;
    this.#query(order, answer, (value) => {
      const { rows, ...scan } = value as PackedPage;
      return { requests: rows.map(requestOf), ...scanOf(scan) };
    });
  }

  groups(query: GroupQuery, answer: (page: GroupPage | StoreFailure) => void): void {
    const order = { kind: 'groups', query: { ...packedQuery(query), by: query.by } } as const;
    this.#query(order, answer, (value) => {
      const { groups, ...scan } = value as PackedGroups;
      return { groups: groups.map(groupOf), ...scanOf(scan) };
    });
  }

  history(
    uuid: RequestUuid,
    answer: (history: RequestHistory | null | StoreFailure) => void,
  ): void {
    this.#query({ kind: 'history', uuid: digitsOf(uuid) }, answer, (value) => {
      if (value === null) return null;
      const { row, attempts, extra, ...rest } = value as HistoryRows;
      const kept = keptIn(Buffer.from(extra, 'hex'));
      return { request: requestOf(row), attempts: attempts.map(attemptOf), ...kept, ...rest };
    });
  }

  bodies(uuid: RequestUuid, answer: (bodies: Bodies | null | StoreFailure) => void): void {
    this.#query({ kind: 'bodies', uuid: digitsOf(uuid) }, answer, (value) => {
      if (value === null) return null;
      const { body, bodyBytes, reply, replyBytes, extra } = value as BodyRows;
      const headers = readHeadersIn(Buffer.from(extra, 'hex'));
      return { headers, body: bodyOf(body, bodyBytes), reply: bodyOf(reply, replyBytes) };
    });
  }

  async close(): Promise<void> {
    const close: QueryOrder = { id: 0, kind: 'close' };
    this.#thread?.postMessage(close);
    await this.#ended;
  }

  #query<Value>(
    query: Unnumbered<Query>,
    answer: (value: Value | StoreFailure) => void,
    read: (value: unknown) => Value,
  ): void {
    if (this.#pending.size >= QUERIES_MAX) {
      queueMicrotask(() => {
        answer(TOO_MANY);
      });
      return;
    }
    const id = ++this.#last;
    this.#pending.set(id, ({ failure, value }) => {
      answer(failure ?? read(value));
    });
    this.#thread ??= this.#start();
    this.#thread.postMessage({ id, ...query });
  }

  #start(): Worker {
    const { script, workerData, name } = this.#how;
    const thread = new Worker(script, { workerData, name: 'queries' });
    thread.on('message', (answer: QueryAnswer) => {
      const answered = this.#pending.get(answer.id);
      this.#pending.delete(answer.id);
      answered?.(answer);
    });
    let why = 'the query thread ended';
    thread.on('error', (error) => {
      why = messageOf(error);
    });
    this.#ended = new Promise((resolve) => {
      thread.on('exit', () => {
        // The next query starts another thread.
        this.#thread = null;
        this.#failAll({ kind: 'busy', message: `store ${name}: ${why}; try again` });
        resolve();
      });
    });
    return thread;
  }

  #failAll(failure: StoreFailure): void {
    const all = [...this.#pending];
    this.#pending.clear();
    for (const [id, answered] of all) answered({ id, failure, value: null });
  }
}

function packedQuery({ filter, states, after, only, except, limit }: PageQuery): PackedPageQuery {
  const { service, serviceMatch, kind, more } = filter;
  return {
    ...boundsOf(filter, after),
    service: service === null ? null : digitsOf(service),
    serviceMatch,
    kind: numberOfFilter(kind),
    more,
    states: states.reduce((bits, state) => bits | (1 << STATE_NUMBERS[state]), 0),
    only: only === null ? null : digitsOf(only),
    except: except === null ? null : digitsOf(except),
    limit,
  };
}

function scanOf({ next, scanned }: PackedScan): Scan {
  return { next: next === null ? null : Buffer.from(next, 'hex'), scanned };
}

function groupOf({ service, example, ...group }: PackedGroup): RequestGroup {
  return {
    ...group,
    service: service === null ? null : Buffer.from(service, 'hex'),
    example: {
      uuid: Buffer.from(example.uuid, 'hex'),
      service: Buffer.from(example.service, 'hex'),
      reason: example.reason,
    },
  };
}

function requestOf(row: ListedRow): ListedRequest {
  const [reason, reasonAt] = row.slice(-2) as [string | null, number | null];
  return { ...requestFrom(new RowReader(row)), reason, reasonAt };
}

function attemptOf({ failure, ...attempt }: AttemptRow): HistoryAttempt {
  return { ...attempt, failure: unpackFailure(Buffer.from(failure, 'hex')) };
}

function bodyOf(digits: string, bytes: number | null): ShownBody | null {
  return bytes === null ? null : shownBody(Buffer.from(digits, 'hex'), bytes);
}
