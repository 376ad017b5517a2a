/** The thread that answers queries for display, in the same form as from a store file, over a connection of its own. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';

import { present } from '../../core/assert.js';
import { WALL_MS_MAX } from '../../core/numbers.js';
import { SHOWN_BYTES_MAX } from '../../store/bodies.js';
import { REASON_CHARACTERS_MAX } from '../../store/queries.js';
import { REQUEST_ROWS } from '../../store/request.js';
import type {
  AttemptRow,
  BodyRows,
  HistoryRows,
  ListedRow,
  PackedPage,
  PackedPageQuery,
  QueryAnswer,
  QueryOrder,
} from '../../store/thread/query-messages.js';
import { TITANIC_SCHEDULE } from '../../wire/tsp.js';
import type { Row } from './changes.js';
import type { Connection } from './connection.js';
import { failureOf } from './failures.js';
import { PersistentConnection } from './persistent-connection.js';
import type { OpenPostgres } from './postgres-store.js';
import { mustBeStore } from './reader.js';
import { DEAD, PENDING, REPLIED, REQUEST_BODY, SCHEMA } from './schema.js';
import { allColumns } from './statements.js';
import { uuids } from './values.js';

/** Maximum number of rows that one statement examines, and that are examined for one page. */
const SLICE_ROWS = 2000;
const PAGE_ROWS_MAX = 100_000;
const UUID_DIGITS = 32;
const ABOVE_ALL = 'F'.repeat(UUID_DIGITS);
const BELOW_ALL = '0'.repeat(UUID_DIGITS);
const TIME_DIGITS = 12;

const REASON = `CASE WHEN r.state <> ${REPLIED} THEN coalesce(
    (SELECT b.frames FROM ${SCHEMA}.body b WHERE b.id = r.id AND b.kind = ${DEAD}),
    (SELECT a.reason FROM ${SCHEMA}.attempt a WHERE a.id = r.id ORDER BY a.n DESC LIMIT 1)) END`;
/** The columns of `ListedRow`. */
const COLUMNS = `${allColumns('r')}, ${REASON}`;
const REASON_AT = REQUEST_ROWS.length;
const FROM = `FROM ${SCHEMA}.request r`;

const END = `SELECT r.id ${FROM} WHERE r.id < $1::uuid ORDER BY r.id DESC LIMIT 1 OFFSET $2::bigint`;
const END_OF_DEAD = END.replace('WHERE', `WHERE r.state = ${DEAD} AND`);
const SLICE = sliceOf('true');
const SLICE_OF_DEAD = sliceOf(`r.state = ${DEAD}`);
const THESE = sliceOf('r.id = ANY ($7::uuid[])');
const ONE = `SELECT ${COLUMNS}, r.key IS NOT NULL, r.attempts_ever, r.extra
  ${FROM} WHERE r.id = $1::uuid`;
const ATTEMPTS = `SELECT worker, started_at, ended_at, reason, failure
  FROM ${SCHEMA}.attempt WHERE id = $1::uuid ORDER BY n`;
const SETTLED = `SELECT kind, length(frames), worker, at,
    CASE WHEN kind = ${DEAD} THEN frames END
  FROM ${SCHEMA}.body WHERE id = $1::uuid AND kind > ${PENDING}`;
const BODIES = `SELECT r.extra, b.kind, length(b.frames), substr(b.frames, 1, ${SHOWN_BYTES_MAX})
  ${FROM} LEFT JOIN ${SCHEMA}.body b ON b.id = r.id AND b.kind IN (${REQUEST_BODY}, ${REPLIED})
  WHERE r.id = $1::uuid`;

/** Parameters: from, to, service, whether any service, state, the maximum. */
function sliceOf(condition: string): string {
  return `SELECT ${COLUMNS} ${FROM} WHERE ${condition} AND r.id < $1::uuid AND r.id >= $2::uuid
    AND (r.service = $3::bytea OR $4::integer = 1 AND r.service <> '${TITANIC_SCHEDULE}'::bytea)
    AND ($5::integer = 0 OR r.state = $5::integer) ORDER BY r.id DESC LIMIT $6::bigint`;
}

async function page(connection: Connection, query: PackedPageQuery): Promise<PackedPage> {
  const { after, acceptedBefore, only } = query;
  const start = after ?? ABOVE_ALL;
  const bound = acceptedBefore === null ? ABOVE_ALL : firstOf(acceptedBefore);
  const from = start < bound ? start : bound;
  return only === null ? walk(connection, query, from) : listed(connection, query, from, only);
}

function parameters(
  { service, state }: PackedPageQuery,
  from: string,
  to: string,
  most: number,
): (Buffer | number)[] {
  const name = Buffer.from(service ?? '', 'hex');
  return [bytesOf(from), bytesOf(to), name, service === null ? 1 : 0, state ?? 0, most];
}

/** Reads slice by slice, newest first, until the page is full or has cost enough. */
async function walk(
  connection: Connection,
  query: PackedPageQuery,
  start: string,
): Promise<PackedPage> {
  const { limit, state } = query;
  const except = new Set(uuidsOf(query.except));
  const rows: ListedRow[] = [];
  let from = start;
  for (let walked = 0; walked < PAGE_ROWS_MAX; walked += SLICE_ROWS) {
    const endOf = state === DEAD ? END_OF_DEAD : END;
    const [last] = await connection.ask(endOf, [bytesOf(from), SLICE_ROWS - 1]);
    const end = last === undefined ? null : digitsOf(last[0] as Buffer);
    // One more shows whether there is another page.
    const most = limit + 1 - rows.length + except.size;
    const slice = state === DEAD ? SLICE_OF_DEAD : SLICE;
    const found = await connection.ask(slice, parameters(query, from, end ?? BELOW_ALL, most));
    for (const row of found.map(listedRow)) {
      if (except.has(row[0])) continue;
      if (rows.length === limit) return { rows, next: rows.at(-1)?.[0] ?? null };
      rows.push(row);
    }
    if (end === null) return { rows, next: null };
    from = end;
  }
  return { rows, next: from };
}

/** The newest of these. */
async function listed(
  connection: Connection,
  query: PackedPageQuery,
  from: string,
  only: string,
): Promise<PackedPage> {
  const wanted = uuids(uuidsOf(only).map(bytesOf));
  if (only === '') return { rows: [], next: null };
  const values = [...parameters(query, from, BELOW_ALL, query.limit + 1), wanted];
  const rows = (await connection.ask(THESE, values)).map(listedRow);
  const shown = rows.slice(0, query.limit);
  return { rows: shown, next: rows.length > query.limit ? (shown.at(-1)?.[0] ?? null) : null };
}

/** Everything about one request. */
async function history(connection: Connection, uuid: string): Promise<HistoryRows | null> {
  const id = bytesOf(uuid);
  const [[row], attempts, settled] = await Promise.all([
    connection.ask(ONE, [id]),
    connection.ask(ATTEMPTS, [id]),
    connection.ask(SETTLED, [id]),
  ]);
  if (row === undefined) return null;
  const [hasKey, attemptsEver, extra] = row.slice(REASON_AT + 1);
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
    ...{ body: body.digits, bodyBytes: body.bytes, reply: reply.digits, replyBytes: reply.bytes },
    extra: digitsOf((first[0] as Buffer | null) ?? Buffer.alloc(0)),
  };
}

function listedRow(row: Row): ListedRow {
  const [uuid, service, number, state, ...rest] = row.slice(0, REASON_AT);
  const reason = row[REASON_AT] as Buffer | null;
  return [
    ...([digitsOf(uuid as Buffer), digitsOf(service as Buffer)] as const),
    ...([number as number, state as number] as const),
    ...rest.map((cell) => (Buffer.isBuffer(cell) ? cell.toString() : Number(cell))),
    reason === null ? null : reason.toString().slice(0, REASON_CHARACTERS_MAX),
  ];
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

/** The first uuid of a millisecond, which need not exist. */
function firstOf(wallMs: number): string {
  const time = Math.min(Math.max(Math.ceil(wallMs), 0), WALL_MS_MAX);
  return time.toString(16).toUpperCase().padStart(TIME_DIGITS, '0').padEnd(UUID_DIGITS, '0');
}

function uuidsOf(packed: string | null): string[] {
  return packed?.match(/.{32}/g) ?? [];
}

function bytesOf(digits: string): Buffer {
  return Buffer.from(digits, 'hex');
}

function digitsOf(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase();
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
      return await page(connection, order.query);
    case 'history':
      return await history(connection, order.uuid);
    case 'bodies':
      return await bodies(connection, order.uuid);
  }
}

new QueryThread(workerData as OpenPostgres, present(parentPort, 'this runs in a thread'));
