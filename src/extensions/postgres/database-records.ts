/** All records of a store in a database, as of one moment. */
import { present } from '../../core/assert.js';
import type { KeyRecord } from '../../store/record-codec.js';
import { requestFrom, type StoredRequest } from '../../store/request.js';
import { RowReader } from '../../store/rows.js';
import type { Attempt, Owner } from '../../store/store.js';
import type { CopiedRecord } from '../../store/sqlite/tables/changed-records.js';
import type { Row } from './changes.js';
import type { Connection } from './connection.js';
import { inParts, part } from './reader.js';
import { WHOLE_FRAMES } from './reads.js';
import { DEAD, REPLIED, REQUEST_BODY, SCHEMA } from './schema.js';
import { setWholeTables } from './server.js';
import { allColumns } from './statements.js';
import { uuids } from './values.js';

const PAGE_ROWS = 1000;
/** Bodies and replies that are in memory at once; one of any size. */
const PAGE_BYTES = 8 * 1024 * 1024;

/** Each request with its key, if that leads to it. */
const REQUESTS = `SELECT ${allColumns('r')}, k.key, k.extra, r.extra, r.attempts_ever, r.reply_bytes
  FROM ${SCHEMA}.request r LEFT JOIN ${SCHEMA}.key k ON k.service = r.service AND k.key = r.key
    AND k.owner = r.owner AND k.id = r.id AND k.until IS NULL`;
const BODIES = `SELECT b.id, b.kind, ${WHOLE_FRAMES}, b.worker, b.at FROM ${SCHEMA}.body b
  WHERE b.id = ANY ($1::uuid[])`;
const ATTEMPTS = `SELECT id, worker, started_at, ended_at, reason, failure, extra
  FROM ${SCHEMA}.attempt WHERE id = ANY ($1::uuid[]) ORDER BY id, n`;
/** The keys of requests that have ended. */
const KEYS = `SELECT service, key, owner, id, until, extra FROM ${SCHEMA}.key
  WHERE until IS NOT NULL ORDER BY service, key, owner`;

/**
 * The requests in this order, then the keys whose requests have ended, in theirs, within a
 * transaction that sees one moment.
 */
export async function* recordsIn(
  connection: Connection,
  order: 'r.seq, r.id' | 'r.id',
): AsyncGenerator<CopiedRecord[]> {
  for await (const rows of pagesOf(connection, 'requests', `${REQUESTS} ORDER BY ${order}`)) {
    for (const part of partsOf(rows)) yield await requestsOf(connection, part);
  }
  for await (const rows of pagesOf(connection, 'keys', KEYS)) yield rows.map(keyOf);
}

async function* pagesOf(
  connection: Connection,
  name: string,
  query: string,
): AsyncGenerator<readonly Row[]> {
  await setWholeTables(connection, 'on');
  await connection.ask(`DECLARE copied_${name} NO SCROLL CURSOR FOR ${query}`);
  await setWholeTables(connection, 'off');
  for (;;) {
    const rows = await connection.ask(`FETCH ${PAGE_ROWS} FROM copied_${name}`);
    if (rows.length === 0) return;
    yield rows;
  }
}

function keyOf([service, key, owner, id, until, extra]: Row): KeyRecord {
  return {
    kind: 'key',
    service: service as Buffer,
    key: key as Buffer,
    uuid: id as Buffer,
    owner: String(owner) as Owner,
    until: until as number,
    extra: extra as Buffer | null,
  };
}

/** A row of `REQUESTS`. */
interface RequestRow {
  readonly request: StoredRequest;
  readonly key: Buffer | null;
  readonly keyExtra: Buffer | null;
  readonly extra: Buffer | null;
  readonly attemptsEver: number;
  readonly replyBytes: number;
}

function requestRow(row: Row): RequestRow {
  const from = new RowReader(row);
  return {
    request: requestFrom(from),
    key: from.maybe(),
    keyExtra: from.maybe(),
    extra: from.maybe(),
    attemptsEver: from.number(),
    replyBytes: from.number(),
  };
}

/** Rows whose bodies and replies are read at once. */
function partsOf(rows: readonly Row[]): RequestRow[][] {
  const parts: RequestRow[][] = [];
  let bytes = Infinity;
  for (const row of rows.map(requestRow)) {
    const more = row.request.bodyBytes + row.replyBytes + (row.extra?.length ?? 0);
    if (bytes + more > PAGE_BYTES) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)?.push(row);
    bytes += more;
  }
  return parts;
}

async function requestsOf(
  connection: Connection,
  rows: readonly RequestRow[],
): Promise<CopiedRecord[]> {
  const ids = uuids(rows.map(({ request }) => request.uuid));
  const [bodies, attempts] = await Promise.all([
    connection.ask(BODIES, [ids]),
    connection.ask(ATTEMPTS, [ids]),
  ]);
  const byName = new Map(bodies.map((row) => [nameOf(row[0], row[1]), row]));
  const tried = new Map<string, Attempt[]>();
  for (const row of attempts) {
    const name = nameOf(row[0], '');
    const before = tried.get(name);
    if (before === undefined) tried.set(name, [attemptOf(row)]);
    else before.push(attemptOf(row));
  }
  const records: CopiedRecord[] = [];
  for (const { request, key, keyExtra, extra, attemptsEver } of rows) {
    const { uuid: id } = request;
    const framesOf = async (of: Row | undefined): Promise<Buffer> => {
      if (of === undefined) return Buffer.alloc(0);
      const kind = of[1] as typeof REQUEST_BODY | typeof REPLIED;
      const large = { uuid: request.uuid, kind, generation: request.generation };
      const frames =
        (of[2] as Buffer | null) ?? (await inParts((done) => part(connection, large, done)));
      return present(frames, 'what this snapshot has');
    };
    const reply = byName.get(nameOf(id, REPLIED));
    const death = byName.get(nameOf(id, DEAD));
    records.push({
      kind: 'request',
      request,
      key,
      keyExtra,
      extra,
      attemptsEver,
      body: await framesOf(byName.get(nameOf(id, REQUEST_BODY))),
      attempts: tried.get(nameOf(id, '')) ?? [],
      reply:
        reply === undefined
          ? null
          : { reply: await framesOf(reply), worker: String(reply[3]), at: reply[4] as number },
      death: death === undefined ? null : { reason: String(death[2]), at: death[4] as number },
    });
  }
  return records;
}

function nameOf(id: unknown, kind: unknown): string {
  return `${(id as Buffer).toString('latin1')}${String(kind)}`;
}

function attemptOf([, worker, startedAt, endedAt, reason, failure, extra]: Row): Attempt {
  return {
    worker: String(worker),
    startedAt: startedAt as number,
    endedAt: endedAt as number,
    reason: String(reason),
    failure: failure as Buffer | null,
    extra: extra as Buffer | null,
  };
}
