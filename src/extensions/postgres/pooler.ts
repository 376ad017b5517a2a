/**
 * Poolers between a broker and its database. A broker needs sessions of its own: settings, statements that are
 * prepared once, notifications. A pooler in session mode gives them; in another mode each transaction may
 * run in another session, which has the settings of whoever used it before.
 */
import { MajordomoError } from '../../core/errors.js';
import type { Connection } from './connection.js';
import { TimeOver } from './failures.js';

/** How many connections a broker keeps; `docs/operating.md` says so, too. */
const CONNECTIONS_NEEDED =
  'each broker needs 6 connections at the same time, and now and then 2 more';

const NO_SESSION =
  'a pooler in transaction or statement mode is in between, which gives no session of its own: set ' +
  `pool_mode = session for this database (${CONNECTIONS_NEEDED}), or name the server itself in titanic.store`;

/** Runs before the path of the session is set. */
const BACKEND = `SELECT pg_catalog.pg_backend_pid(), pg_catalog.concat_ws(' ',
  pg_catalog.pg_backend_pid(), pg_catalog.inet_server_addr(), pg_catalog.inet_server_port())`;

/** The process of the server that carries out the next statement, also told apart from those of other servers. */
async function backendOf(connection: Connection): Promise<{ pid: unknown; backend: string }> {
  const [row] = await connection.ask(BACKEND);
  const [pid, backend] = row ?? [];
  return { pid, backend: String(backend) };
}

/**
 * Makes sure that the session is this connection's own, before anything is set in it. Without a pooler the
 * server has told its process at the login already. A pooler makes a number up: then no two open connections
 * may have the same process, and no connection two of them. Both are only read, so that nothing is left
 * behind in the session of another program.
 * @param known has the open connections through poolers; of the first one, it is compared with another one
 * @param another makes that connection
 * @throws ERR_TITANIC_STORE otherwise, ERR_TITANIC_STORE_AWAY if the pooler gives no second connection
 */
export async function refuseSharedSession(
  connection: Connection,
  known: { pooled?: Map<string, Connection> },
  another: () => Connection,
  timeoutMs: number,
): Promise<void> {
  const { pid, backend } = await backendOf(connection);
  if (pid === connection.processId) return;
  const pooled = (known.pooled ??= new Map());
  for (const [each, of] of pooled) if (!of.isOpen) pooled.delete(each);
  if (pooled.has(backend)) throw new MajordomoError('ERR_TITANIC_STORE', NO_SESSION);
  if (pooled.size === 0) await compare(connection, backend, another(), timeoutMs);
  pooled.set(backend, connection);
}

async function compare(
  connection: Connection,
  backend: string,
  other: Connection,
  timeoutMs: number,
): Promise<void> {
  const areTwo = async (): Promise<boolean> => {
    await other.client.connect();
    const second = (await backendOf(other)).backend;
    // In this order a pooler that takes its connections in turn is found, however many it has.
    const seen = [
      (await backendOf(other)).backend === second,
      (await backendOf(connection)).backend === backend,
      (await backendOf(connection)).backend === backend,
      (await backendOf(other)).backend === second,
    ];
    return second !== backend && seen.every(Boolean);
  };
  try {
    if (await other.within(timeoutMs / 2, areTwo())) return;
  } catch (error) {
    if (!(error instanceof TimeOver)) throw error;
    throw tooFew(`a pooler gives no second connection within ${Math.round(timeoutMs / 2)} ms`);
  } finally {
    other.destroy();
  }
  throw new MajordomoError('ERR_TITANIC_STORE', NO_SESSION);
}

/** The pooler or the server gives fewer connections than a broker needs. */
export function tooFew(text: string): MajordomoError {
  return new MajordomoError('ERR_TITANIC_STORE_AWAY', `${text}: ${CONNECTIONS_NEEDED}`, {
    details: { reason: 'too_many_connections' },
  });
}

/** What PgBouncer says of a login that only an operator can mend. All of it comes as 08P01. */
const LOGIN_REFUSED: readonly (readonly [words: RegExp, state: string])[] = [
  [/authentication failed|wrong password|login rejected/i, '28P01'],
  [/no such user|role ".*" does not exist|not permitted to log in|pg_hba\.conf/, '28000'],
  [/no such database|database ".*" does not exist/, '3D000'],
  [/permission denied for database/, '42501'],
];
const ALL_TAKEN =
  /no more connections allowed|query_wait_timeout|too many (connections|clients)|connection slots are/;

/** The SQLSTATE that a server gives for what a pooler says as 08P01; '': none that is known. */
export function pooledState(text: string): string {
  if (ALL_TAKEN.test(text)) return '53300';
  return LOGIN_REFUSED.find(([words]) => words.test(text))?.[1] ?? '';
}
