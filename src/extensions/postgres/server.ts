/** Whether a server fits, and the session on it. */
import { MajordomoError } from '../../core/errors.js';
import type { RetryReason } from '../../store/retries.js';
import type { Row } from './changes.js';
import type { Connection } from './connection.js';
import { stateOf } from './failures.js';

/** Which history of which server; `null`: this engine does not tell. */
export interface History {
  readonly systemId: string | null;
  /** Eight hexadecimal digits. It is higher after each promotion of a standby. */
  readonly timeline: string | null;
}

/** Which server it is; another one after a failover. */
export interface ServerIdentity extends History {
  readonly host: string;
}

/**
 * For each session, whatever its role or database has as a default; see docs/protocol.md. Values are
 * read as text, so their form is set. No function of another user may take the place of one of the
 * server.
 */
const SETTINGS = `SELECT
  pg_catalog.set_config('search_path', 'pg_catalog', false),
  set_config('bytea_output', 'hex', false),
  set_config('default_transaction_isolation', 'read committed', false),
  set_config('synchronous_commit', CASE current_setting('synchronous_commit')
    WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false),
  set_config('plan_cache_mode', 'force_generic_plan', false),
  set_config('jit', 'off', false),
  set_config('client_min_messages', 'warning', false),
  pg_is_in_recovery(), current_setting('transaction_read_only'), current_setting('fsync'),
  current_setting('full_page_writes'), current_setting('server_version_num')::integer`;
const RECOVERY_COLUMN = 7;
const OLDEST_VERSION = 150_000;

/**
 * A limit of the server would cancel a wait for the standby, or the counting of many requests: the
 * broker has limits of its own. Some servers have only some of these.
 */
const NO_LIMITS = `SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN (
  'statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_session_timeout')`;

/**
 * A client that vanishes within a transaction (its machine loses power, a firewall forgets the
 * connection) holds what it has locked for so long. Some servers have only some of these.
 */
const ENDS_OF_THE_SILENT = `SELECT set_config(name, value, false) FROM pg_settings JOIN (VALUES
  ('idle_in_transaction_session_timeout', '10000'), ('tcp_user_timeout', '10000'),
  ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'), ('tcp_keepalives_count', '3')
  ) AS ends (name, value) USING (name)`;

/**
 * Ways to scan and join that read a whole table. While the tables are small they look cheap; a plan that
 * has one then keeps it when the tables have grown. Some servers have only some of these.
 */
function wholeTables(value: 'on' | 'off', isLocal: boolean): string {
  return `SELECT set_config(name, '${value}', ${isLocal}) FROM pg_settings WHERE name IN (
    'enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_mergejoin', 'enable_material')`;
}

/** Whether statements of the transaction that is open may read whole tables. */
export async function setWholeTables(connection: Connection, value: 'on' | 'off'): Promise<void> {
  await connection.ask(wholeTables(value, true));
}

const IDENTITY = `SELECT (SELECT system_identifier::text FROM pg_control_system()),
  substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)`;

/**
 * The part of the time for a batch for which it waits for a lock: what is left is for the same batch
 * without that row. With the default time it is longer than the server takes to find a deadlock.
 */
const LOCK_SHARE = 0.75;

/** With this part of the time left, a wait of `LOCK_SHARE` of all of it still ends before. */
const MOSTLY_LEFT = 0.9;

/** For how long the connection waits for a lock, in milliseconds. */
const lockLimits = new WeakMap<Connection, number>();

/** For how long a batch waits for a lock. @param leftMs of its time */
export function lockLimitMs(timeoutMs: number, leftMs: number): number {
  const of = leftMs >= timeoutMs * MOSTLY_LEFT ? timeoutMs : leftMs;
  return Math.max(1, Math.ceil(of * LOCK_SHARE));
}

export async function limitLocks(
  connection: Connection,
  timeoutMs: number,
  leftMs: number,
): Promise<void> {
  const ms = lockLimitMs(timeoutMs, leftMs);
  if (lockLimits.get(connection) === ms) return;
  await connection.ask(`SELECT set_config('lock_timeout', '${ms}', false)`);
  lockLimits.set(connection, ms);
}

/** A backend whose client has gone ends its wait for a lock. Not all servers can find that out. */
const NOTICES_ITS_END = "SELECT set_config('client_connection_check_interval', '1000', false)";

interface Refusal {
  readonly code: string;
  readonly text: string;
  /** The reason as which it is counted, if the server may fit later. */
  readonly reason?: RetryReason;
}

/** Whether a server fits; otherwise why not, in words. */
function refusal(row: Row): Refusal | null {
  const [isInRecovery, readOnly, fsync, fullPageWrites, version] = row.slice(RECOVERY_COLUMN);
  if (Number(version) < OLDEST_VERSION) {
    return { code: 'ERR_TITANIC_STORE', text: 'PostgreSQL 15 or newer is needed' };
  }
  for (const [name, value] of [
    ['fsync', fsync],
    ['full_page_writes', fullPageWrites],
  ] as const) {
    if (value === 'on') continue;
    const text = `${name} is off, so what it confirms is lost with its power: set ${name} = on`;
    return { code: 'ERR_TITANIC_STORE', text };
  }
  if (isInRecovery === true || isInRecovery === 't') {
    const text = 'it is in recovery (a standby): name the primary too, or promote it';
    return { code: 'ERR_TITANIC_STORE_AWAY', text };
  }
  if (readOnly === 'on') {
    const text = 'its transactions are read-only: set default_transaction_read_only = off';
    return { code: 'ERR_TITANIC_STORE', text, reason: 'read_only' };
  }
  return null;
}

/**
 * Sets up the session of a new connection.
 * @throws ERR_TITANIC_STORE or ERR_TITANIC_STORE_AWAY if the server does not fit
 */
export async function beginSession(connection: Connection): Promise<History> {
  const [row] = await connection.ask(SETTINGS);
  const refused = refusal(row ?? []);
  if (refused !== null) {
    const { code, text, reason } = refused;
    throw new MajordomoError(code, text, reason === undefined ? {} : { details: { reason } });
  }
  await connection.ask(NO_LIMITS);
  await connection.ask(wholeTables('off', false));
  await optional(connection, ENDS_OF_THE_SILENT);
  await optional(connection, NOTICES_ITS_END);
  const [identity] = await optional(connection, IDENTITY);
  const [systemId = null, timeline = null] = (identity ?? []) as (string | null)[];
  return { systemId, timeline };
}

/** Nothing, if this engine has no such thing, or this role no right to it. */
export async function optional(connection: Connection, text: string): Promise<readonly Row[]> {
  try {
    return await connection.ask(text);
  } catch (error) {
    if (stateOf(error) === '') throw error;
    return [];
  }
}

/** True for a former primary: its standby was promoted, and has what came since. */
export function isOlder(history: History, newest: History): boolean {
  if (history.systemId === null || history.systemId !== newest.systemId) return false;
  return (history.timeline ?? '') < (newest.timeline ?? '');
}

export function formerPrimary({ timeline }: History, newest: History): MajordomoError {
  const text =
    `its history is older (timeline ${timeline ?? '?'}, ${newest.timeline ?? '?'} was used ` +
    'before): it is a former primary, which lacks receipts; make it a standby again, or start ' +
    'with --new-store if it is to be used from now on';
  return new MajordomoError('ERR_TITANIC_STORE_AWAY', text);
}
