/** The thread that answers queries for display, in the same form as from a store file, over a connection of its own. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';

import { present } from '../../core/assert.js';
import { SHOWN_BYTES_MAX } from '../../store/bodies.js';
import { digitsOf } from '../../store/stored-filter.js';
import type {
  AttemptRow,
  BodyRows,
  HistoryRows,
  QueryAnswer,
  QueryOrder,
} from '../../store/thread/query-messages.js';
import type { Row } from './changes.js';
import type { Connection } from './connection.js';
import { failureOf } from './failures.js';
import { bytesOf, groupsOf, LISTED_COLUMNS, LISTED_COUNT, listedRow, pageOf } from './listed.js';
import { PersistentConnection } from './persistent-connection.js';
import type { OpenPostgres } from './postgres-store.js';
import { mustBeStore } from './reader.js';
import { DEAD, PENDING, REPLIED, REQUEST_BODY, SCHEMA } from './schema.js';

const FROM = `FROM ${SCHEMA}.request r`;
const ONE = `SELECT ${LISTED_COLUMNS}, r.key IS NOT NULL, r.attempts_ever, r.extra
  ${FROM} WHERE r.id = $1::uuid`;
const ATTEMPTS = `SELECT worker, started_at, ended_at, reason, failure
  FROM ${SCHEMA}.attempt WHERE id = $1::uuid ORDER BY n`;
const SETTLED = `SELECT kind, length(frames), worker, at,
    CASE WHEN kind = ${DEAD} THEN frames END
  FROM ${SCHEMA}.body WHERE id = $1::uuid AND kind > ${PENDING}`;
const BODIES = `SELECT r.extra, b.kind, length(b.frames), substr(b.frames, 1, ${SHOWN_BYTES_MAX})
  ${FROM} LEFT JOIN ${SCHEMA}.body b ON b.id = r.id AND b.kind IN (${REQUEST_BODY}, ${REPLIED})
  WHERE r.id = $1::uuid`;

/** Everything about one request. */
async function history(connection: Connection, uuid: string): Promise<HistoryRows | null> {
  const id = bytesOf(uuid);
  const [[row], attempts, settled] = await Promise.all([
    connection.ask(ONE, [id]),
    connection.ask(ATTEMPTS, [id]),
    connection.ask(SETTLED, [id]),
  ]);
  if (row === undefined) return null;
  const [hasKey, attemptsEver, extra] = row.slice(LISTED_COUNT);
  const reply = settled.find(([kind]) => kind === REPLIED);
  const death = settled.find(([kind]) => kind === DEAD);
  return {
    row: listedRow(row),
    hasKey: hasKey === true,
    attemptsEver: attemptsEver as number,
    extra: digitsOf((extra as Buffer | null) ?? Buffer.alloc(0)),
    attempts: attempts.map(attemptRow),
    reply:
      reply === undefined
        ? null
        : { bytes: reply[1] as number, worker: String(reply[2]), at: reply[3] as number },
    death: death === undefined ? null : { reason: String(death[4]), at: death[3] as number },
  };
}

async function bodies(connection: Connection, uuid: string): Promise<BodyRows | null> {
  const rows = await connection.ask(BODIES, [bytesOf(uuid)]);
  const [first] = rows;
  if (first === undefined) return null;
  const of = (kind: number): { digits: string; bytes: number | null } => {
    const row = rows.find((each) => each[1] === kind);
    if (row === undefined) return { digits: '', bytes: null };
    return { digits: digitsOf(row[3] as Buffer), bytes: row[2] as number };
  };
  const [body, reply] = [of(REQUEST_BODY), of(REPLIED)];
  return {
    body: body.digits,
    bodyBytes: body.bytes,
    reply: reply.digits,
    replyBytes: reply.bytes,
    extra: digitsOf((first[0] as Buffer | null) ?? Buffer.alloc(0)),
  };
}

function attemptRow([worker, startedAt, endedAt, reason, failure]: Row): AttemptRow {
  return {
    worker: String(worker),
    startedAt: startedAt as number,
    endedAt: endedAt as number,
    reason: String(reason),
    failure: digitsOf((failure as Buffer | null) ?? Buffer.alloc(0)),
  };
}

/** People wait for it, but a page may examine many rows. */
const QUERY_MS = 30_000;

type Query = Exclude<QueryOrder, { kind: 'close' }>;

class QueryThread {
  readonly #port: MessagePort;
  readonly #name: string;
  readonly #connection: PersistentConnection;

  constructor({ login, name, timeoutMs, storeId }: OpenPostgres, port: MessagePort) {
    this.#name = name;
    this.#port = port;
    this.#connection = new PersistentConnection(
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
      const value = await this.#connection.use(until, (connection) => read(connection, order));
      this.#port.postMessage({ id, failure: null, value } satisfies QueryAnswer);
    } catch (error) {
      const failure = failureOf(this.#name, error);
      this.#port.postMessage({ id, failure, value: null } satisfies QueryAnswer);
    }
  }

  async #close(): Promise<void> {
    await this.#connection.close();
    this.#port.close();
  }
}

async function read(connection: Connection, order: Query): Promise<unknown> {
  switch (order.kind) {
    case 'page':
      return await pageOf(connection, order.query);
    case 'groups':
      return await groupsOf(connection, order.query);
    case 'history':
      return await history(connection, order.uuid);
    case 'bodies':
      return await bodies(connection, order.uuid);
  }
}

new QueryThread(workerData as OpenPostgres, present(parentPort, 'this runs in a thread'));
