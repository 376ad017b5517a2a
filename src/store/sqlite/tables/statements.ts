/** All statements that run while a store is in service. */
import { kindOfNumber, numberOfKind, type RecordKind } from '../../record-kind.js';
import type Database from 'better-sqlite3';

import { WALL_MS_MAX } from '../../../core/numbers.js';
import type { KnownKey } from '../../merge.js';
import type { KeyRecord, StoredDeath, StoredReply, TombstoneRecord } from '../../record-codec.js';
import { ATTEMPT_FIELDS } from '../../attempt.js';
import { REQUEST_ROWS, requestFrom, type StoredRequest } from '../../request.js';
import { cellsOf, requestColumns, RowReader } from '../../rows.js';
import type { Attempt, Holding, Owner, RequestUuid, StoredState, Tombstone } from '../../store.js';
import type { PendingRow } from '../../thread/request-messages.js';
import { COOKIE, NEXT_MARK } from '../file/log-mark.js';
import { DEAD, PENDING, REPLIED } from '../file/schema.js';

type Value = number | string | Buffer | null;

/** What the store records about itself. */
export interface Ledger {
  /** Not below any number that was ever given. */
  readonly nextNumber: number;
  /** How often the store was opened for service. */
  readonly openings: number;
}

/** The part of a request that a change needs. */
export interface ExistingRequest {
  readonly number: number;
  readonly state: number;
  readonly generation: number;
  readonly attempts: number;
  readonly attemptsEver: number;
  readonly service: Buffer;
  readonly key: Buffer | null;
  readonly owner: Owner;
  readonly shared: number;
  readonly kind: RecordKind;
  readonly partner: Buffer;
  readonly bodyBytes: number;
  readonly replyBytes: number;
  readonly extra: Buffer | null;
}

/** A request as sent to the other store of a pair. */
export interface ChangedRow {
  readonly request: StoredRequest;
  readonly key: Buffer | null;
  readonly attemptsEver: number;
  readonly changed: number;
  readonly born: number;
  readonly extra: Buffer | null;
}

/** A row of `record` or `changedRequests`. */
export function changedRow(row: readonly Value[]): ChangedRow {
  const from = new RowReader(row);
  return {
    request: requestFrom(from),
    key: from.maybe(),
    attemptsEver: from.number(),
    changed: from.number(),
    born: from.number(),
    extra: from.maybe(),
  };
}

export const STATE_NAMES: Readonly<Record<number, StoredState>> = {
  [PENDING]: 'pending',
  [REPLIED]: 'replied',
  [DEAD]: 'dead',
};

export const STATE_NUMBERS: Readonly<Record<StoredState, number>> = {
  pending: PENDING,
  replied: REPLIED,
  dead: DEAD,
};

const EXISTING = `number, state, generation, attempts, attempts_ever, service, key, owner, shared,
  kind, partner, body_bytes, reply_bytes, extra`;

/** The columns of EXISTING. Every step of a request reads them, and naming each takes time. */
type ExistingRow = readonly [
  number: number,
  state: number,
  generation: number,
  attempts: number,
  attemptsEver: number,
  service: Buffer,
  key: Buffer | null,
  owner: Owner,
  shared: number,
  kind: number,
  partner: Buffer,
  bodyBytes: number,
  replyBytes: number,
  extra: Buffer | null,
];

/** @returns undefined if no request has this uuid */
export function existingOf(sql: Statements, uuid: RequestUuid): ExistingRequest | undefined {
  const row = sql.existing.get(uuid);
  return row === undefined ? undefined : existing(row);
}

/** The settled requests that have expired, in the same order in both stores of a pair. */
export function overdue(
  sql: Statements,
  kinds: number,
  now: number,
  most: number,
): (ExistingRequest & { readonly uuid: RequestUuid })[] {
  return sql.over.all(kinds, now, most).map(([uuid, ...row]) => ({ uuid, ...existing(row) }));
}

function existing(row: ExistingRow): ExistingRequest {
  return {
    number: row[0],
    state: row[1],
    generation: row[2],
    attempts: row[3],
    attemptsEver: row[4],
    service: row[5],
    key: row[6],
    owner: row[7],
    shared: row[8],
    kind: kindOfNumber(row[9]),
    partner: row[10],
    bodyBytes: row[11],
    replyBytes: row[12],
    extra: row[13],
  };
}

const REQUEST = requestColumns((column) => column);
// Text is read into JavaScript much faster than blobs. hex() allocates also for nothing, which is in nearly all rows.
const REQUEST_AS_TEXT = requestColumns((column, { as, kind }) => {
  if (as !== 'bytes') return column;
  const mayBeEmpty = kind === 'maybeUuid' || kind === 'own';
  return mayBeEmpty ? `iif(${column} = x'', '', hex(${column}))` : `hex(${column})`;
});
/** The columns of a record after those of its request. */
const REST = 'key, attempts_ever, changed, born, extra';
const RECORD = `${REQUEST}, ${REST}`;
const ROW = `${REQUEST_ROWS.map(({ column }) => column).join(', ')}, ${REST}, reply_bytes`;
/** What a new request without a webhook always has, as literals: every value that is bound takes time. */
const OF_NEW: Readonly<Record<string, string>> = {
  state: String(PENDING),
  attempts: '0',
  generation: '0',
  kind: '0',
  partner: "x''",
  own: "x''",
  outcome: '0',
  outcome_at: '0',
};
const ATTEMPT = Object.values(ATTEMPT_FIELDS).map(({ column }) => column);
const ATTEMPT_AS = Object.entries(ATTEMPT_FIELDS).map(
  ([name, { column }]) => `${column} AS ${name}`,
);

const SQL = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  rollback: 'ROLLBACK',

  ledger: 'SELECT next_number AS nextNumber, openings FROM ledger WHERE id = 1',
  setLedger: 'UPDATE ledger SET next_number = ?, openings = ? WHERE id = 1',
  storeId: 'SELECT store_id FROM ledger WHERE id = 1',
  newest: 'SELECT accepted_at FROM requests WHERE uuid = (SELECT max(uuid) FROM requests)',
  peer: `SELECT store_id AS storeId, up_to AS upTo, bodies_up_to AS bodiesUpTo
    FROM peer WHERE id = 1`,
  setPeer: `INSERT INTO peer (id, store_id, up_to, bodies_up_to) VALUES (1, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET store_id = excluded.store_id, up_to = excluded.up_to,
    bodies_up_to = excluded.bodies_up_to`,
  /**
   * What may be at the peer while this store serves without it: what was here at the first of the openings
   * since. (Their numbers: see `OPENING_TRANSACTIONS` in tables.ts.)
   */
  apart: `SELECT up_to, bodies_up_to FROM peer WHERE id = 2 UNION ALL
    SELECT (openings + 1) << 32, (SELECT coalesce(max(id), 0) FROM ranked)
    FROM ledger JOIN peer ON peer.id = 1 ORDER BY 1 LIMIT 1`,
  setApart: 'INSERT OR IGNORE INTO peer SELECT 2, store_id, ?, ? FROM peer WHERE id = 1',
  endApart: 'DELETE FROM peer WHERE id = 2',
  bornAt: 'SELECT born FROM requests WHERE number = ?',
  pageCount: 'PRAGMA page_count',
  freePages: 'PRAGMA freelist_count',
  pageBytes: 'PRAGMA page_size',
  /** Moves one page. */
  vacuum: 'PRAGMA incremental_vacuum(1)',
  markLog: NEXT_MARK,
  cookie: COOKIE,
  logFrames: 'PRAGMA wal_checkpoint(NOOP)',
  checkpoint: 'PRAGMA wal_checkpoint(PASSIVE)',

  existing: `SELECT ${EXISTING} FROM requests WHERE uuid = ?`,
  request: `SELECT ${REQUEST} FROM requests WHERE number = ?`,
  record: `SELECT ${RECORD} FROM requests WHERE uuid = ?`,
  changedRequests: `SELECT ${RECORD} FROM requests WHERE (changed, number) > (?, ?)
    ORDER BY changed, number LIMIT ?`,
  requestsById: `SELECT ${RECORD} FROM requests WHERE uuid > ? ORDER BY uuid`,
  isTaken: 'SELECT 1 FROM requests WHERE number = ?',
  /** The last row of a slice. */
  endOfSlice: 'SELECT number FROM requests WHERE number > ? ORDER BY number LIMIT 1 OFFSET ?',
  pending: `SELECT ${REQUEST_AS_TEXT} FROM requests WHERE state = ${PENDING} AND number > ?
    AND number <= ? ORDER BY number LIMIT ?`,
  /** The limits that operators set, from the end of the index that has records which are not sent to workers. */
  limits: `SELECT ${REQUEST_AS_TEXT} FROM requests WHERE (state > 1 OR kind NOT IN (0, 3))
    AND expires_at > 0 AND kind = ${numberOfKind('limit')} ORDER BY expires_at DESC LIMIT ?`,
  body: `SELECT body, extra FROM requests JOIN bodies USING (number)
    WHERE uuid = ? AND state = ${PENDING}`,
  bodyOf: 'SELECT body FROM bodies WHERE number = ?',
  reply: 'SELECT reply FROM replies WHERE number = ?',
  // Only shown: to check it at each start, all replies would have to be read.
  replyRow: `SELECT reply, worker, max(0, min(replied_at, ${WALL_MS_MAX})) AS at
    FROM replies WHERE number = ?`,
  reason: 'SELECT reason FROM deaths WHERE number = ?',
  lastFailure: `SELECT failure FROM attempts WHERE number = ? ORDER BY ordinal DESC LIMIT 1`,
  deathRow: 'SELECT reason, died_at AS at FROM deaths WHERE number = ?',
  attempts: `SELECT ${ATTEMPT_AS.join(', ')}, extra FROM attempts WHERE number = ? ORDER BY ordinal`,
  /** The first condition is that of the index; the first parameter has a bit for each kind. */
  over: `SELECT uuid, ${EXISTING} FROM requests WHERE (state > 1 OR kind NOT IN (0, 3))
    AND (state > ${PENDING} OR (? >> kind) & 1) AND expires_at <= ? ORDER BY expires_at, uuid LIMIT ?`,

  /** Binds the cells of the request (request.ts), then the rest. */
  insertRequest: `INSERT INTO requests (${ROW})
    VALUES (${REQUEST_ROWS.map(({ kind }) => (kind === 'state' ? '? + 1' : '?')).join(', ')}, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (uuid) DO NOTHING`,
  insertNew: `INSERT INTO requests (${ROW})
    VALUES (${REQUEST_ROWS.map(({ column }) => OF_NEW[column] ?? '?').join(', ')}, ?, 0, ?, ?, ?, 0)
    ON CONFLICT (uuid) DO NOTHING`,
  insertBody: 'INSERT INTO bodies (number, body) VALUES (?, ?)',
  reopen: `UPDATE requests SET state = ${PENDING}, generation = ?, not_before = ?, expires_at = ?,
    attempts = ?, attempts_ever = ?, reply_bytes = 0, changed = ? WHERE number = ?`,
  settle: `UPDATE requests SET state = ?, generation = ?, expires_at = ?, reply_bytes = ?,
    changed = ? WHERE number = ?`,
  setState: `UPDATE requests SET state = ?, generation = ?, not_before = ?, expires_at = ?,
    attempts = ?, attempts_ever = ?, reply_bytes = ?, outcome = ?, outcome_at = ?, changed = ?, extra = ?
    WHERE number = ?`,
  setExtra: 'UPDATE requests SET extra = ? WHERE uuid = ?',
  setKeyOf: 'UPDATE requests SET key = ?, changed = ? WHERE uuid = ?',
  touch: 'UPDATE requests SET changed = ? WHERE uuid = ?',
  deleteRequest: 'DELETE FROM requests WHERE number = ?',
  deleteBody: 'DELETE FROM bodies WHERE number = ?',

  insertReply: 'INSERT INTO replies (number, reply, worker, replied_at) VALUES (?, ?, ?, ?)',
  deleteReply: 'DELETE FROM replies WHERE number = ?',
  insertDeath: 'INSERT INTO deaths (number, reason, died_at) VALUES (?, ?, ?)',
  deleteDeath: 'DELETE FROM deaths WHERE number = ?',

  setAttempt: `UPDATE requests SET state = ${PENDING}, generation = ?, attempts = ?,
    attempts_ever = ?, not_before = ?, reply_bytes = 0, changed = ? WHERE number = ?`,
  advance: `UPDATE requests SET state = ${PENDING}, generation = ?, attempts = ?, not_before = ?,
    expires_at = ifnull(?, expires_at), outcome = ?, outcome_at = ?, reply_bytes = 0, changed = ?
    WHERE number = ?`,
  insertAttempt: `INSERT INTO attempts (number, ordinal, ${ATTEMPT.join(', ')}, extra)
    VALUES (?, ?, ${ATTEMPT.map(() => '?').join(', ')}, ?)`,
  deleteAttempt: 'DELETE FROM attempts WHERE number = ? AND ordinal = ?',
  deleteAttempts: 'DELETE FROM attempts WHERE number = ?',

  knownKey: `SELECT keys.uuid AS uuid, keys.extra AS extra, requests.state AS state
    FROM keys LEFT JOIN requests ON requests.uuid = keys.uuid
    WHERE keys.service = ? AND keys.key = ? AND keys.owner = ? AND (until IS NULL OR until > ?)`,
  keyOf: 'SELECT owner, uuid, until, extra FROM keys WHERE service = ? AND key = ? AND owner = ?',
  addKey: `INSERT INTO keys (service, key, owner, uuid, until, changed, extra)
    VALUES (?, ?, ?, ?, ?, ?, ?)`,
  rememberKey: `UPDATE keys SET until = ?, changed = ?
    WHERE service = ? AND key = ? AND owner = ? AND uuid = ?`,
  forgetKey: 'DELETE FROM keys WHERE service = ? AND key = ? AND owner = ? AND uuid = ?',
  forgettable: `SELECT service, key, owner FROM keys WHERE until <= ?
    ORDER BY until, service, key, owner LIMIT ?`,
  deleteKey: 'DELETE FROM keys WHERE service = ? AND key = ? AND owner = ?',
  changedKeys: `SELECT service, key, owner, uuid, until, extra, changed FROM keys
    WHERE until IS NOT NULL AND changed > ? AND changed <= ? ORDER BY changed LIMIT ?`,
  rememberedKeys: `SELECT service, key, owner, uuid, until, extra FROM keys
    WHERE until IS NOT NULL ORDER BY service, key, owner`,

  tombstonesOf: `SELECT key_until AS keyUntil, closed_by AS by, extra FROM tombstones
    WHERE uuid = ? ORDER BY closed_by`,
  setTombstone: `INSERT INTO tombstones (uuid, key_until, changed, closed_by, extra)
    VALUES (?, ?, ?, ?, ?) ON CONFLICT (uuid, closed_by) DO UPDATE SET
    key_until = excluded.key_until, changed = excluded.changed, extra = excluded.extra`,
  dropTombstonesOf: 'DELETE FROM tombstones WHERE uuid = ?',
  changedTombstones: `SELECT uuid, key_until AS keyUntil, closed_by AS by, extra, changed
    FROM tombstones WHERE changed > ? AND changed <= ? ORDER BY changed LIMIT ?`,
  dropTombstones: `DELETE FROM tombstones WHERE (uuid, closed_by) IN
    (SELECT uuid, closed_by FROM tombstones WHERE changed <= ? ORDER BY changed LIMIT ?)`,
};

type Name = keyof typeof SQL;

/** A log in pages, and how many of them are in the file as well. */
export type LogFrames = readonly [isBusy: number, log: number, copied: number];

/** The rows that the reading statements return. */
interface Rows {
  readonly ledger: Ledger;
  readonly pageCount: number;
  readonly freePages: number;
  readonly pageBytes: number;
  readonly cookie: number;
  readonly logFrames: LogFrames;
  readonly checkpoint: LogFrames;
  readonly existing: ExistingRow;
  readonly request: readonly Value[];
  readonly endOfSlice: number;
  readonly pending: PendingRow;
  readonly limits: PendingRow;
  readonly body: readonly [body: Buffer, extra: Buffer | null];
  readonly reply: Buffer;
  readonly reason: string;
  readonly lastFailure: Buffer | null;
  readonly over: readonly [uuid: Buffer, ...ExistingRow];
  readonly knownKey: {
    readonly uuid: Buffer;
    readonly extra: Buffer | null;
    readonly state: number | null;
  };
  readonly forgettable: { readonly service: Buffer; readonly key: Buffer; readonly owner: Owner };
  readonly newest: number;
  readonly storeId: Buffer;
  readonly peer: Holding;
  readonly apart: readonly [transaction: number, ranked: number];
  readonly bornAt: number;
  readonly record: readonly Value[];
  readonly changedRequests: readonly Value[];
  readonly requestsById: readonly Value[];
  readonly isTaken: number;
  readonly bodyOf: Buffer;
  readonly replyRow: StoredReply;
  readonly deathRow: StoredDeath;
  readonly attempts: Attempt;
  readonly keyOf: KnownKey;
  readonly changedKeys: Omit<KeyRecord, 'kind'> & { readonly changed: number };
  readonly rememberedKeys: Omit<KeyRecord, 'kind'>;
  readonly tombstonesOf: Tombstone;
  readonly changedTombstones: Omit<TombstoneRecord, 'kind'> & { readonly changed: number };
}

/** Statements of one column, whose values they return. */
const SCALARS: readonly string[] = [
  'pageCount',
  'freePages',
  'pageBytes',
  'cookie',
  'endOfSlice',
  'reply',
  'reason',
  'lastFailure',
  'newest',
  'storeId',
  'bornAt',
  'isTaken',
  'bodyOf',
] satisfies Name[];

/** Statements whose rows are arrays. */
const ARRAYS: readonly string[] = [
  'apart',
  'logFrames',
  'checkpoint',
  'existing',
  'over',
  'pending',
  'limits',
  'body',
  'request',
  'record',
  'changedRequests',
  'requestsById',
] satisfies Name[];

/** Statements that read the records of a store, in service or not. */
const READING = [
  'requestsById',
  'keyOf',
  'bodyOf',
  'replyRow',
  'deathRow',
  'attempts',
  'rememberedKeys',
] as const satisfies Name[];

export type Statements = {
  readonly [Each in Name]: Database.Statement<
    Value[],
    Each extends keyof Rows ? Rows[Each] : never
  >;
};
export type ReadingStatements = Pick<Statements, (typeof READING)[number]>;

export function prepareStatements(db: Database.Database): Statements {
  return prepare(db, Object.keys(SQL));
}

export function prepareReading(db: Database.Database): ReadingStatements {
  return prepare(db, READING);
}

function prepare(db: Database.Database, names: readonly string[]): Statements {
  const wanted = Object.entries(SQL).filter(([name]) => names.includes(name));
  const prepared = wanted.map(([name, sql]) => {
    const statement = db.prepare<Value[], never>(sql);
    if (ARRAYS.includes(name)) statement.raw();
    if (SCALARS.includes(name)) statement.pluck();
    return [name, statement];
  });
  return Object.fromEntries(prepared) as Statements;
}

export function insertAttempt(
  sql: Statements,
  number: number,
  ordinal: number,
  { worker, startedAt, endedAt, reason, failure, extra }: Attempt,
): void {
  sql.insertAttempt.run(number, ordinal, worker, startedAt, endedAt, reason, failure, extra);
}

/** @returns false if its uuid is there */
export function insertRequest(sql: Statements, row: ChangedRow, replyBytes: number): boolean {
  const { request, key, attemptsEver, changed, born, extra } = row;
  if (replyBytes === 0 && attemptsEver === 0 && isAsNew(request)) {
    const { changes } = sql.insertNew.run(
      request.uuid,
      request.service,
      request.number,
      request.priority,
      request.acceptedAt,
      request.notBefore,
      request.expiresAt,
      request.maxAttempts,
      request.bodyBytes,
      request.owner,
      request.isShared ? 1 : 0,
      key,
      changed,
      born,
      extra,
    );
    return changes > 0;
  }
  const cells = cellsOf(request);
  cells.push(key, attemptsEver, changed, born, extra, replyBytes);
  return sql.insertRequest.run(...cells).changes > 0;
}

/** Whether `OF_NEW` is true of it. */
function isAsNew(request: StoredRequest): boolean {
  const { kind, state, attempts, generation, partner, own, outcome, outcomeAt } = request;
  const isPlain = kind === 'request' && partner.length === 0 && own.length === 0;
  const isFirst = state === 'pending' && attempts === 0 && generation === 0;
  return isPlain && isFirst && outcome === 0 && outcomeAt === 0;
}
