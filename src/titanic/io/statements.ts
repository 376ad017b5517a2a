/** Every statement that runs while a store is in service. */
import type Database from 'better-sqlite3';

import type { StoredRequest, StoredState } from '../store.js';
import type { PendingRow } from './messages.js';
import { DEAD, PENDING, REPLIED } from './schema.js';

/** What the store knows of itself without counting. */
export interface Tally {
  readonly nextNumber: number;
  readonly pending: number;
  readonly replied: number;
  readonly dead: number;
}

/** A request as far as a change needs to know it. */
export interface Standing {
  readonly number: number;
  readonly state: number;
  readonly generation: number;
  readonly attempts: number;
  readonly attemptsEver: number;
  readonly service: Buffer;
  readonly key: Buffer | null;
}

interface RequestRow extends Omit<StoredRequest, 'state'> {
  readonly state: number;
}

const STATE_NAMES: Readonly<Record<number, StoredState>> = {
  [PENDING]: 'pending',
  [REPLIED]: 'replied',
  [DEAD]: 'dead',
};

export function storedRequest(row: RequestRow): StoredRequest {
  return { ...row, state: STATE_NAMES[row.state] ?? 'pending' };
}

const STANDING = `number, state, generation, attempts, attempts_ever AS attemptsEver, service, key`;

const REQUEST = `uuid, number, service, state, priority, accepted_at AS acceptedAt,
  not_before AS notBefore, expires_at AS expiresAt, max_attempts AS maxAttempts, attempts,
  generation, body_bytes AS bodyBytes`;

const SQL = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  rollback: 'ROLLBACK',

  tally: 'SELECT next_number AS nextNumber, pending, replied, dead FROM ledger WHERE id = 1',
  setTally: 'UPDATE ledger SET next_number = ?, pending = ?, replied = ?, dead = ? WHERE id = 1',
  pageCount: 'PRAGMA page_count',
  freePages: 'PRAGMA freelist_count',
  pageBytes: 'PRAGMA page_size',
  /** Moves one page. */
  vacuum: 'PRAGMA incremental_vacuum(1)',
  logFrames: 'PRAGMA wal_checkpoint(NOOP)',
  checkpoint: 'PRAGMA wal_checkpoint(PASSIVE)',

  standing: `SELECT ${STANDING} FROM requests WHERE uuid = ?`,
  request: `SELECT ${REQUEST} FROM requests WHERE number = ?`,
  // Text is read into JavaScript much faster than blobs are.
  pending: `SELECT hex(uuid), hex(service), number, 0, priority, accepted_at, not_before, expires_at,
    max_attempts, attempts, generation, body_bytes FROM requests WHERE state = ${PENDING} AND number > ?
    ORDER BY number LIMIT ?`,
  body: `SELECT body FROM requests JOIN bodies USING (number) WHERE uuid = ? AND state = ${PENDING}`,
  reply: 'SELECT reply FROM replies WHERE number = ?',
  reason: 'SELECT reason FROM deaths WHERE number = ?',
  over: `SELECT ${STANDING}, uuid FROM requests WHERE state > ${PENDING} AND expires_at <= ?
    ORDER BY expires_at, number LIMIT ?`,

  insertRequest: `INSERT INTO requests (number, uuid, service, key, state, generation, priority,
    accepted_at, not_before, expires_at, max_attempts, attempts, attempts_ever, body_bytes)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT (uuid) DO NOTHING`,
  insertBody: 'INSERT INTO bodies (number, body) VALUES (?, ?)',
  reopen: `UPDATE requests SET state = ${PENDING}, generation = ?, not_before = ?, expires_at = ?,
    attempts = ? WHERE number = ?`,
  settle: 'UPDATE requests SET state = ?, generation = ?, expires_at = ? WHERE number = ?',
  deleteRequest: 'DELETE FROM requests WHERE number = ?',
  deleteBody: 'DELETE FROM bodies WHERE number = ?',

  insertReply: 'INSERT INTO replies (number, reply, worker, replied_at) VALUES (?, ?, ?, ?)',
  deleteReply: 'DELETE FROM replies WHERE number = ?',
  insertDeath: 'INSERT INTO deaths (number, reason, died_at) VALUES (?, ?, ?)',
  deleteDeath: 'DELETE FROM deaths WHERE number = ?',

  setAttempt: `UPDATE requests SET state = ${PENDING}, generation = ?, attempts = ?,
    attempts_ever = ?, not_before = ? WHERE number = ?`,
  insertAttempt: `INSERT INTO attempts (number, ordinal, worker, started_at, ended_at, reason)
    VALUES (?, ?, ?, ?, ?, ?)`,
  deleteAttempt: 'DELETE FROM attempts WHERE number = ? AND ordinal = ?',
  deleteAttempts: 'DELETE FROM attempts WHERE number = ?',

  knownKey: `SELECT uuid FROM keys
    WHERE service = ? AND key = ? AND (until IS NULL OR until > ?)`,
  setKey: `INSERT INTO keys (service, key, uuid, until) VALUES (?, ?, ?, NULL)
    ON CONFLICT (service, key) DO UPDATE SET uuid = excluded.uuid, until = NULL`,
  rememberKey: 'UPDATE keys SET until = ? WHERE service = ? AND key = ? AND uuid = ?',
  forgetKey: 'DELETE FROM keys WHERE service = ? AND key = ? AND uuid = ?',
  forgettable: `SELECT service, key FROM keys WHERE until <= ?
    ORDER BY until, service, key LIMIT ?`,
  deleteKey: 'DELETE FROM keys WHERE service = ? AND key = ?',
};

type Value = number | string | Buffer | null;
type Name = keyof typeof SQL;

/** What the reading ones read. */
interface Rows {
  readonly tally: Tally;
  readonly pageCount: number;
  readonly freePages: number;
  readonly pageBytes: number;
  readonly logFrames: {
    readonly busy: number;
    readonly log: number;
    readonly checkpointed: number;
  };
  readonly standing: Standing;
  readonly request: RequestRow;
  readonly pending: PendingRow;
  readonly body: Buffer;
  readonly reply: Buffer;
  readonly reason: string;
  readonly over: Standing & { readonly uuid: Buffer };
  readonly knownKey: Buffer;
  readonly forgettable: { readonly service: Buffer; readonly key: Buffer };
}

/** Those of one column, which is what they are read as. */
const SCALARS: readonly string[] = [
  'pageCount',
  'freePages',
  'pageBytes',
  'body',
  'reply',
  'reason',
  'knownKey',
] satisfies Name[];

export type Statements = {
  readonly [Each in Name]: Database.Statement<
    Value[],
    Each extends keyof Rows ? Rows[Each] : never
  >;
};

export function prepareStatements(db: Database.Database): Statements {
  const prepared = Object.entries(SQL).map(([name, sql]) => {
    const statement = db.prepare<Value[], never>(sql);
    if (name === 'pending') statement.raw();
    return [name, SCALARS.includes(name) ? statement.pluck() : statement];
  });
  return Object.fromEntries(prepared) as Statements;
}
