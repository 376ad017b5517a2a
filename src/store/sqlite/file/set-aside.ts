/**
 * Sets rows aside that cannot be used, when a store is opened for service: they go, as they are, into
 * tables of their own, which nothing reads. Their names have the format of the store, because the next
 * one may give the tables other columns.
 */
import type Database from 'better-sqlite3';

import { SEQUENCE_MAX, TRANSACTION_MAX } from '../../../core/numbers.js';
import { RANKED_KEY_BYTES_MAX, PART_MAX } from '../../ranked.js';
import { UUID_BYTES } from '../../request.js';
import { outOfRange, REQUEST_OUT_OF_RANGE, SET_ASIDE, setAsideText } from '../../unusable.js';
import { OWN_BYTES_MAX } from '../../request.js';
import { openForReading } from './database.js';
import { formatOf } from './connection.js';
import { DEAD, PENDING, REPLIED } from './schema.js';

interface Unusable {
  readonly table: 'requests' | 'keys' | 'tombstones' | 'ranked' | 'peer';
  /** In words. */
  readonly problem: string;
  readonly where: string;
}

/** Rows that cannot be used. */
export const UNUSABLE: readonly Unusable[] = [
  {
    table: 'requests',
    problem: 'requests in an unknown state',
    where: `state NOT IN (${PENDING}, ${REPLIED}, ${DEAD})`,
  },
  {
    table: 'requests',
    problem: 'requests with an invalid uuid',
    where: 'length(uuid) <> 16',
  },
  {
    table: 'requests',
    problem: 'requests with an invalid partner',
    where: `length(partner) NOT IN (0, ${UUID_BYTES})`,
  },
  {
    table: 'requests',
    problem: 'requests with more of their own than any kind has',
    where: `length(own) > ${OWN_BYTES_MAX}`,
  },
  {
    table: 'requests',
    problem: 'requests without a service',
    where: 'length(service) = 0',
  },
  {
    table: 'requests',
    problem: 'requests with values out of range',
    where: `number < 1 OR ${outOfRange({ sequence: ['number'] })} OR ${REQUEST_OUT_OF_RANGE}
      OR ${outOfRange({ count: ['reply_bytes'] })}`,
  },
  {
    table: 'requests',
    problem: 'requests changed by an impossible transaction',
    where: outOfRange({ transaction: ['changed', 'born'] }),
  },
  {
    table: 'requests',
    problem: 'requests that were tried, or died, at an impossible time',
    where: `number IN (SELECT number FROM attempts
        WHERE ${outOfRange({ sequence: ['ordinal'], wallTime: ['started_at', 'ended_at'] })})
      OR number IN (SELECT number FROM deaths WHERE ${outOfRange({ wallTime: ['died_at'] })})`,
  },
  {
    table: 'keys',
    problem: 'keys remembered until an impossible time',
    where: outOfRange({ wallTime: ['until'] }),
  },
  {
    table: 'keys',
    problem: 'keys changed by an impossible transaction',
    where: outOfRange({ transaction: ['changed'] }),
  },
  {
    table: 'tombstones',
    problem: 'closed requests with values out of range',
    where: outOfRange({ wallTime: ['key_until'], transaction: ['changed'] }),
  },
  {
    table: 'peer',
    problem: 'an impossible transaction of this store at the peer',
    where: outOfRange({ transaction: ['up_to', 'bodies_up_to'] }),
  },
  {
    table: 'ranked',
    problem: 'records of extensions with an invalid part or key',
    where: `part NOT BETWEEN 1 AND ${PART_MAX} OR length(key) NOT BETWEEN 1 AND ${RANKED_KEY_BYTES_MAX}`,
  },
  {
    table: 'ranked',
    problem: 'records of extensions with values out of range',
    where: `epoch NOT BETWEEN 0 AND (1 << 24) - 1 OR counter NOT BETWEEN 0 AND (1 << 40) - 1
      OR deleted NOT IN (0, 1) OR ${outOfRange({ transaction: ['changed'] })}`,
  },
];

/** The peer sends all that it has with the next join: this store no longer holds some of it. */
const ASK_PEER_AGAIN = 'UPDATE peer SET up_to = 0, bodies_up_to = 0 WHERE id = 1';

/** Tables that have something of a request, by its number. */
const PARTS = ['bodies', 'replies', 'deaths', 'attempts'];

/**
 * Sets aside what cannot be used, with all that belongs to it, and brings the counters of the ledger
 * back into their range. Writes nothing if all is well.
 */
export function setAside(db: Database.Database): void {
  const found = [...new Set(UNUSABLE.map(({ table }) => table))].flatMap((table) => {
    const where = UNUSABLE.filter((each) => each.table === table)
      .map((each) => `(${each.where})`)
      .join(' OR ');
    const exists = `SELECT EXISTS (SELECT 1 FROM ${table} WHERE ${where})`;
    return db.prepare(exists).pluck().get() === 1 ? [{ table, where }] : [];
  });
  if (found.length === 0 && db.prepare(WRONG_LEDGER).get() === undefined) return;
  db.transaction(() => {
    for (const { table, where } of found) {
      if (table === 'requests') moveRequests(db, where);
      else move(db, table, where);
    }
    if (found.length > 0) db.exec(ASK_PEER_AGAIN);
    db.exec(MEND_LEDGER);
  }).immediate();
}

function moveRequests(db: Database.Database, where: string): void {
  db.exec(`CREATE TEMP TABLE unusable AS SELECT number, uuid FROM requests WHERE ${where}`);
  move(db, 'keys', 'until IS NULL AND uuid IN (SELECT uuid FROM temp.unusable)');
  move(db, 'requests', 'number IN (SELECT number FROM temp.unusable)');
  // If a number was damaged, its parts have the former one, which another request may get.
  for (const table of PARTS) move(db, table, 'number NOT IN (SELECT number FROM requests)');
  db.exec('DROP TABLE temp.unusable');
}

function move(db: Database.Database, table: string, where: string): void {
  const target = `main.${SET_ASIDE}${table}_${formatOf(db)}`;
  db.exec(`CREATE TABLE IF NOT EXISTS ${target} AS SELECT * FROM ${table} WHERE 0;
    INSERT INTO ${target} SELECT * FROM ${table} WHERE ${where};
    DELETE FROM ${table} WHERE ${where}`);
}

/** Numbers above this one do not move those of the store (core/numbers.ts). */
const HIGHEST = `(SELECT coalesce(max(number), 0) FROM requests WHERE number <= ${Math.floor(SEQUENCE_MAX / 2)})`;
const OPENINGS_MAX = Math.floor(TRANSACTION_MAX / 2 ** 32) - 1;
const HAS_NUMBER = `next_number BETWEEN ${HIGHEST} + 1 AND ${SEQUENCE_MAX}`;
const HAS_OPENINGS = `openings BETWEEN 0 AND ${OPENINGS_MAX}`;
const WRONG_LEDGER = `SELECT 1 FROM ledger WHERE NOT (${HAS_NUMBER} AND ${HAS_OPENINGS})`;
const MEND_LEDGER = `UPDATE ledger SET
  next_number = iif(${HAS_NUMBER}, next_number, ${HIGHEST} + 1),
  openings = iif(${HAS_OPENINGS}, openings, (SELECT coalesce(max(changed), 0) >> 32 FROM requests))`;

/** What `rowsSetAside` finds in the file of a store, in words; `null`: nothing. */
export function setAsideAt(path: string): string | null {
  const db = openForReading(path);
  try {
    const rows = rowsSetAside(db);
    return rows.length === 0 ? null : setAsideText(rows);
  } finally {
    db.close();
  }
}

/** By table: how many rows are set aside, now and at earlier starts. */
export function rowsSetAside(db: Database.Database): (readonly [table: string, count: number])[] {
  const tables = db
    .prepare<[], string>(
      `SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB '${SET_ASIDE}*' ORDER BY 1`,
    )
    .pluck()
    .all();
  return tables
    .map(
      (name) => [name, Number(db.prepare(`SELECT count(*) FROM ${name}`).pluck().get())] as const,
    )
    .filter(([, count]) => count > 0);
}
