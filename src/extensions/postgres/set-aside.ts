/**
 * Sets rows aside that cannot be used, when a broker starts: they go, as they are, into tables of their
 * own, which nothing reads. Their names have the format of the tables, because the next one may give
 * these other columns.
 */
import { OWN_BYTES_MAX, UUID_BYTES } from '../../store/request.js';
import { outOfRange, REQUEST_OUT_OF_RANGE, SET_ASIDE, setAsideText } from '../../store/unusable.js';
import type { Connection } from './connection.js';
import { DEAD, FORMAT, PENDING, SCHEMA } from './schema.js';
import { setWholeTables } from './server.js';

interface Unusable {
  readonly table: 'request' | 'key';
  /** In words. */
  readonly problem: string;
  readonly where: string;
}

/** Rows that cannot be used. */
export const UNUSABLE: readonly Unusable[] = [
  {
    table: 'request',
    problem: 'requests in an unknown state',
    where: `state NOT BETWEEN ${PENDING} AND ${DEAD}`,
  },
  {
    table: 'request',
    problem: 'requests with an invalid partner',
    where: `length(partner) NOT IN (0, ${UUID_BYTES})`,
  },
  {
    table: 'request',
    problem: 'requests with more of their own than any kind has',
    where: `length(own) > ${OWN_BYTES_MAX}`,
  },
  { table: 'request', problem: 'requests without a service', where: 'length(service) = 0' },
  {
    table: 'request',
    problem: 'requests with values out of range',
    where: `${REQUEST_OUT_OF_RANGE} OR ${outOfRange({ wallTimeUs: ['seq'], count: ['reply_bytes', 'claim'] })}`,
  },
  {
    table: 'request',
    problem: 'requests that were tried, or ended, at an impossible time',
    where: `id IN (SELECT id FROM ${SCHEMA}.attempt
        WHERE ${outOfRange({ sequence: ['n'], wallTime: ['started_at', 'ended_at'] })})
      OR id IN (SELECT id FROM ${SCHEMA}.body WHERE ${outOfRange({ wallTime: ['at'] })})`,
  },
  {
    table: 'key',
    problem: 'keys taken, or remembered until, an impossible time',
    where: outOfRange({ wallTime: ['taken_at', 'until'] }),
  },
];

function anyOf(table: Unusable['table']): string {
  return UNUSABLE.filter((each) => each.table === table)
    .map(({ where }) => `(${where})`)
    .join(' OR ');
}

/**
 * Sets aside what cannot be used, with all that belongs to it. Writes nothing if all is well.
 * @returns how many rows are set aside, now and at earlier starts, in words; `null`: none
 */
export async function setAside(connection: Connection): Promise<string | null> {
  await connection.ask('BEGIN');
  await setWholeTables(connection, 'on');
  const [found] = await connection.ask(
    `SELECT EXISTS (SELECT 1 FROM ${SCHEMA}.request WHERE ${anyOf('request')}),
      EXISTS (SELECT 1 FROM ${SCHEMA}.key WHERE ${anyOf('key')})`,
  );
  if (found?.includes(true) === true) {
    // Another broker that starts now finds nothing left.
    await connection.ask(`SELECT 1 FROM ${SCHEMA}.meta FOR UPDATE`);
    await moveAll(connection);
  }
  await connection.ask('COMMIT');
  return await rowsSetAside(connection);
}

async function moveAll(connection: Connection): Promise<void> {
  const rows = await connection.ask(
    `SELECT id::text FROM ${SCHEMA}.request WHERE ${anyOf('request')} FOR UPDATE`,
  );
  const ids = rows.map(([id]) => `'${String(id)}'::uuid`);
  await move(connection, 'key', anyOf('key'));
  if (ids.length === 0) return;
  const theirs = `id IN (${ids.join(', ')})`;
  await move(connection, 'key', `until IS NULL AND ${theirs}`);
  for (const table of ['request', 'body', 'attempt']) await move(connection, table, theirs);
}

async function move(connection: Connection, table: string, where: string): Promise<void> {
  const target = `${SCHEMA}.${SET_ASIDE}${table}_${FORMAT}`;
  await connection.ask(`CREATE TABLE IF NOT EXISTS ${target} (LIKE ${SCHEMA}.${table})`);
  await connection.ask(
    `WITH unusable AS (DELETE FROM ${SCHEMA}.${table} WHERE ${where} RETURNING *)
      INSERT INTO ${target} SELECT * FROM unusable`,
  );
}

/** How many rows are set aside, in words; `null`: none. */
export async function rowsSetAside(connection: Connection): Promise<string | null> {
  const tables = await connection.ask(
    `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = '${SCHEMA}' AND c.relkind = 'r' AND c.relname LIKE '${SET_ASIDE.replaceAll('_', '\\_')}%'
      ORDER BY 1`,
  );
  const counts: [string, number][] = [];
  for (const [name] of tables) {
    const table = String(name);
    const [row] = await connection.ask(`SELECT count(*) FROM ${SCHEMA}.${table}`);
    if (Number(row?.[0]) > 0) counts.push([table, Number(row?.[0])]);
  }
  return counts.length === 0 ? null : setAsideText(counts);
}
