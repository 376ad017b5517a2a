/** Makes the tables, or brings them to this format, under the lock of one row. */
import { randomBytes } from 'node:crypto';

import { MajordomoError } from '../../core/errors.js';
import { refuseDamaged } from './catalog.js';
import type { Connection } from './connection.js';
import { isOfOtherTables, PERMISSION_DENIED, stateOf, textOf } from './failures.js';
import { isMissingRight, lackingTables, missingRight, type Who } from './rights.js';
import { FORMAT, META, MIGRATIONS, NEWEST_READABLE, SCHEMA } from './schema.js';

const ID_BYTES = 16;
/** Two brokers that make the schema at the same time: the second one finds it. */
const MADE_MEANWHILE = ['23505', '42P06', '42P07', '42710'];
const TRIES = 5;

/** Tables that are empty after a crash, and that no standby has. */
const UNLOGGED = `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = '${SCHEMA}' AND c.relkind IN ('r', 'p') AND c.relpersistence <> 'p'
  ORDER BY 1`;

export interface Migrated {
  readonly storeId: Buffer;
  /** The format of the tables, which may be one above this program's. */
  readonly format: number;
  /** Whether this call made the store. */
  readonly isMade: boolean;
}

/**
 * @param who the role and the database, for the text that says which right is missing
 * @param absent thrown if there is no store yet; `null`: one is made then
 * @throws ERR_TITANIC_VERSION if the tables are of a program that is too new or of a development
 * version, or a broker is connected that is too old for those of this one; ERR_TITANIC_STORE for
 * missing rights, or tables of another program; ERR_TITANIC_DISK if something of the tables is missing
 */
export async function migrate(
  connection: Connection,
  who: Who,
  absent: Error | null = null,
): Promise<Migrated> {
  for (let tries = 1; ; tries++) {
    try {
      return await migrateOnce(connection, absent);
    } catch (error) {
      // If the connection is gone, so is the transaction.
      if (connection.isOpen) await connection.ask('ROLLBACK').catch(() => undefined);
      if (tries < TRIES && MADE_MEANWHILE.includes(stateOf(error))) continue;
      throw await tablesError(connection, error, who);
    }
  }
}

async function migrateOnce(connection: Connection, absent: Error | null): Promise<Migrated> {
  const [found] = await connection.ask(
    `SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = '${SCHEMA}')`,
  );
  if (found?.[0] !== true) {
    if (absent !== null) throw absent;
    await connection.ask(`CREATE SCHEMA ${SCHEMA}`);
  } else await refuseDamaged(connection);
  const [meta] = await connection.ask(`SELECT to_regclass('${SCHEMA}.meta') IS NOT NULL`);
  if (meta?.[0] !== true) {
    if (absent !== null) throw absent;
    await connection.ask(META);
  }
  const made = await connection.ask(
    `INSERT INTO ${SCHEMA}.meta (one, format, store_id) VALUES (true, 0, $1)
      ON CONFLICT (one) DO NOTHING RETURNING one`,
    [randomBytes(ID_BYTES)],
  );
  await connection.ask('BEGIN');
  const [row] = await connection.ask(`SELECT format, store_id FROM ${SCHEMA}.meta FOR UPDATE`);
  const format = row?.[0] as number;
  const storeId = row?.[1] as Buffer;
  refuseNewer(format);
  if (format > 0 && format < FORMAT) await endOlder(connection);
  for (const statements of MIGRATIONS.slice(format)) {
    for (const statement of statements) await connection.ask(statement);
  }
  if (format < FORMAT) await connection.ask(`UPDATE ${SCHEMA}.meta SET format = ${FORMAT}`);
  await connection.ask('COMMIT');
  const lacking = await lackingTables(connection);
  if (lacking.length > 0) {
    const text = `permission denied for ${lacking.join(', ')}`;
    throw Object.assign(new Error(text), { code: PERMISSION_DENIED });
  }
  await refuseUnlogged(connection);
  return { storeId, format: Math.max(format, FORMAT), isMade: made.length > 0 };
}

/** @throws ERR_TITANIC_VERSION if a program that is too new made the tables */
export function refuseNewer(format: number): void {
  if (format <= NEWEST_READABLE) return;
  const text = `the tables have format ${format}, and this program works up to ${NEWEST_READABLE}: use a newer program`;
  throw new MajordomoError('ERR_TITANIC_VERSION', text);
}

/**
 * Ends the overdue sessions of programs that are too old for the tables that are about to be made.
 * @throws ERR_TITANIC_VERSION if one of them is connected
 */
async function endOlder(connection: Connection): Promise<void> {
  const [older] = await connection.ask(
    `SELECT node, readable FROM ${SCHEMA}.broker
      WHERE NOT dead AND readable < $1::bigint AND lease_until >= clock_timestamp()
      ORDER BY session LIMIT 1`,
    [FORMAT],
  );
  if (older !== undefined) {
    const text = `this program would make tables of format ${FORMAT}, and the broker ${String(older[0])}, which uses them now, works up to ${String(older[1])}: upgrade it to a version in between first, or stop it`;
    throw new MajordomoError('ERR_TITANIC_VERSION', text);
  }
  await connection.ask(
    `WITH old AS (
        SELECT session FROM ${SCHEMA}.broker WHERE NOT dead AND readable < $1::bigint FOR UPDATE
      )
      UPDATE ${SCHEMA}.broker b SET dead = true FROM old WHERE b.session = old.session`,
    [FORMAT],
  );
}

/** @throws ERR_TITANIC_STORE if a table loses its rows in a crash */
export async function refuseUnlogged(connection: Connection): Promise<void> {
  const tables = (await connection.ask(UNLOGGED)).map(([name]) => String(name));
  if (tables.length === 0) return;
  const help = tables.map((name) => `ALTER TABLE ${SCHEMA}.${name} SET LOGGED`).join('; ');
  const text = `unlogged tables are empty after a crash: ${help}`;
  throw new MajordomoError('ERR_TITANIC_STORE', text);
}

/**
 * What an error means that occurred while the tables were looked at. The connection is in no
 * transaction.
 */
export async function tablesError(
  connection: Connection,
  error: unknown,
  who: Who,
): Promise<unknown> {
  if (isMissingRight(error)) return await missingRight(connection, error, who);
  if (!isOfOtherTables(error)) return error;
  const text = `the schema ${SCHEMA} has other tables than this program's (${textOf(error)}): use another database`;
  return new MajordomoError('ERR_TITANIC_STORE', text, { cause: error });
}
