/** The thread that answers queries for display, in the same form as from a store file, over a connection of its own. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';

import { present } from '../../core/assert.js';
import { PackReader } from '../../core/value-bytes.js';
import { SHOWN_BYTES_MAX } from '../../store/bodies.js';
import type { RequestUuid } from '../../store/store.js';
import { type OrderOf, type ResultOf, takeOrders } from '../../store/thread/operations.js';
import type { QueryName } from '../../store/thread/query-operations.js';
import { packListed } from '../../store/thread/request-messages.js';
import { ThreadAnswers } from '../../store/thread/thread-answers.js';
import type { Row } from './changes.js';
import { PROCESS_CLOCK } from './clock.js';
import { connect } from './connect.js';
import type { Connection } from './connection.js';
import { failureOf } from './failures.js';
import { groupsOf, LISTED_COLUMNS, LISTED_COUNT, pageOf } from './listed.js';
import { PersistentConnection } from './persistent-connection.js';
import type { OpenPostgres } from './postgres-store.js';
import { mustBeStore } from './reader.js';
import { DEAD, PENDING, REPLIED, REQUEST_BODY, SCHEMA } from './schema.js';
import { byteas } from './values.js';

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
const HAS_KEYS = `SELECT EXISTS (SELECT 1 FROM ${SCHEMA}.key k
    WHERE k.service = i.service AND k.key = i.key AND k.owner = i.owner)
  FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) WITH ORDINALITY i(service, key, owner, n)
  ORDER BY i.n`;

/** Everything about one request. */
async function history(connection: Connection, uuid: RequestUuid): Promise<ResultOf<'history'>> {
  const [[row], attempts, settled] = await Promise.all([
    connection.ask(ONE, [uuid]),
    connection.ask(ATTEMPTS, [uuid]),
    connection.ask(SETTLED, [uuid]),
  ]);
  if (row === undefined) return null;
  const [hasKey, attemptsEver, extra] = row.slice(LISTED_COUNT);
  const reply = settled.find(([kind]) => kind === REPLIED);
  const death = settled.find(([kind]) => kind === DEAD);
  return {
    listed: packListed([row]),
    hasKey: hasKey === true,
    attemptsEver: attemptsEver as number,
    extra: extra as Buffer | null,
    attempts: attempts.map(([worker, startedAt, endedAt, reason, failure]) => ({
      worker: String(worker),
      startedAt: startedAt as number,
      endedAt: endedAt as number,
      reason: String(reason),
      failure: failure as Buffer | null,
    })),
    reply:
      reply === undefined
        ? null
        : { bytes: reply[1] as number, worker: String(reply[2]), at: reply[3] as number },
    death: death === undefined ? null : { reason: String(death[4]), at: death[3] as number },
  };
}

async function bodies(connection: Connection, uuid: RequestUuid): Promise<ResultOf<'bodies'>> {
  const rows = await connection.ask(BODIES, [uuid]);
  const [first] = rows;
  if (first === undefined) return null;
  const of = (kind: number): Row => rows.find((each) => each[1] === kind) ?? [];
  const [, , bodyBytes = null, body = null] = of(REQUEST_BODY);
  const [, , replyBytes = null, reply = null] = of(REPLIED);
  return { body, bodyBytes, reply, replyBytes, extra: first[0] } as ResultOf<'bodies'>;
}

/** People wait for a page, but it may examine many rows. */
const QUERY_MS = 30_000;

class QueryThread {
  readonly #port: MessagePort;
  readonly #name: string;
  readonly #answers: ThreadAnswers;
  readonly #timeoutMs: number;
  readonly #connection: PersistentConnection<Connection>;

  constructor({ login, name, timeoutMs, storeId }: OpenPostgres, port: MessagePort) {
    this.#name = name;
    this.#port = port;
    this.#timeoutMs = timeoutMs;
    this.#answers = new ThreadAnswers(port);
    this.#connection = new PersistentConnection(
      (...given) => connect(login, ...given),
      PROCESS_CLOCK,
      timeoutMs,
      { hostIndex: 0 },
      {
        connected: async (connection) => {
          if (storeId !== null) await mustBeStore(connection, name, storeId);
        },
        unreachable: () => undefined,
        retried: () => undefined,
      },
    );
    port.on('message', (message: Uint8Array) => {
      for (const order of takeOrders<QueryName | 'close'>(new PackReader(message))) {
        if (order.name === 'close') void this.#close();
        else void this.#carryOut(order);
      }
    });
  }

  async #carryOut(order: OrderOf<QueryName>): Promise<void> {
    try {
      // A program waits for its key.
      const until = PROCESS_CLOCK.now() + (order.name === 'hasKeys' ? this.#timeoutMs : QUERY_MS);
      const result = await this.#connection.use(until, (connection) => read(connection, order));
      this.#answers.done(order, result);
    } catch (error) {
      this.#answers.failed(order, failureOf(this.#name, error));
    }
    this.#answers.send();
  }

  async #close(): Promise<void> {
    await this.#connection.close();
    this.#port.close();
  }
}

async function read(
  connection: Connection,
  order: OrderOf<QueryName>,
): Promise<ResultOf<QueryName>> {
  switch (order.name) {
    case 'page':
      return await pageOf(connection, ...order.args);
    case 'groups':
      return await groupsOf(connection, ...order.args);
    case 'history':
      return await history(connection, ...order.args);
    case 'bodies':
      return await bodies(connection, ...order.args);
    case 'hasKeys': {
      const [keys] = order.args;
      const rows = await connection.ask(HAS_KEYS, [
        byteas(keys.map(({ service }) => service)),
        byteas(keys.map(({ key }) => key)),
        byteas(keys.map(({ owner }) => Buffer.from(owner))),
      ]);
      return rows.map(([isKnown]) => isKnown === true);
    }
  }
}

new QueryThread(workerData as OpenPostgres, present(parentPort, 'this runs in a thread'));
