/** Looks at a store in a database, for `verify` and `doctor`. Changes nothing. */
import { STATES, UUID_BYTES } from '../../store/request.js';
import { kindInvariants } from '../../store/kind-invariants.js';
import { countOf, kindOfNumber, noCounts } from '../../store/record-kind.js';
import type { DatabaseReport } from '../../store/database-tools.js';
import { ATTEMPTS_RETAINED } from '../../store/store.js';
import { type MissingIndex, refuseDamaged } from './catalog.js';
import type { Connection } from './connection.js';
import { connect, type Login } from './connect.js';
import { storeText } from './failures.js';
import { refuseNewer, refuseUnlogged, tablesError } from './migrate.js';
import { refuseUnfinished, unfinishedMove } from './move-progress.js';
import { otherStore } from './reader.js';
import { failedCommand, refuseMissingRights, refuseStrangersTables } from './rights.js';
import { DEAD, PENDING, REPLIED, REQUEST_BODY, SCHEMA } from './schema.js';
import { rowsSetAside, UNUSABLE } from './set-aside.js';
import { type Snapshots, snapshots } from './looks.js';
import { setWholeTables } from './server.js';

const CONNECT_MS = 10_000;
const REQUEST = `${SCHEMA}.request r`;

/** Inconsistencies: a text, and a query that counts the rows that have it. */
const INVARIANTS: readonly (readonly [problem: string, rows: string])[] = [
  [
    'requests with a claim, but not pending',
    `${REQUEST} WHERE session IS NOT NULL AND state <> ${PENDING}`,
  ],
  [
    'requests with the claim of an unknown broker',
    `${REQUEST} WHERE session IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM ${SCHEMA}.broker o WHERE o.session = r.session)`,
  ],
  [
    'requests without a body, or with one of another size',
    `${REQUEST} LEFT JOIN ${SCHEMA}.body b ON b.id = r.id AND b.kind = ${REQUEST_BODY}
      WHERE b.id IS NULL OR length(b.frames) + length(r.own) <> r.body_bytes`,
  ],
  [
    'requests replied, but without their reply',
    `${REQUEST} LEFT JOIN ${SCHEMA}.body b ON b.id = r.id AND b.kind = ${REPLIED}
      WHERE r.state = ${REPLIED} AND (b.id IS NULL OR length(b.frames) <> r.reply_bytes)`,
  ],
  [
    'requests dead, but without a reason',
    `${REQUEST} LEFT JOIN ${SCHEMA}.body b ON b.id = r.id AND b.kind = ${DEAD}
      WHERE r.state = ${DEAD} AND b.id IS NULL`,
  ],
  [
    'bodies, replies or reasons of no request in their state',
    `${SCHEMA}.body b LEFT JOIN ${REQUEST} ON r.id = b.id
      AND b.kind IN (${REQUEST_BODY}, r.state) WHERE r.id IS NULL`,
  ],
  [
    'attempts of no request',
    `${SCHEMA}.attempt a LEFT JOIN ${REQUEST} ON r.id = a.id WHERE r.id IS NULL`,
  ],
  [
    'requests with a wrong number of attempts',
    `(SELECT r.attempts_ever, count(a.n) AS stored, max(a.n) AS last FROM ${REQUEST}
      LEFT JOIN ${SCHEMA}.attempt a ON a.id = r.id GROUP BY r.id) tried
      WHERE stored <> least(attempts_ever, ${ATTEMPTS_RETAINED}) OR stored > 0 AND last <> attempts_ever`,
  ],
  [
    'requests whose key belongs to another request',
    `${REQUEST} LEFT JOIN ${SCHEMA}.key k ON k.service = r.service AND k.key = r.key
      AND k.owner = r.owner WHERE r.key IS NOT NULL AND (k.id IS DISTINCT FROM r.id
      OR k.until IS NOT NULL)`,
  ],
  [
    'keys of no request that are kept for ever',
    `${SCHEMA}.key k LEFT JOIN ${REQUEST} ON r.id = k.id AND r.service = k.service AND r.key = k.key
      AND r.owner = k.owner WHERE k.until IS NULL AND r.id IS NULL`,
  ],
  ...kindInvariants({
    table: `${SCHEMA}.request`,
    none: "''::bytea",
    // Of another length it is not usable, which is another problem.
    isPartner: `p.id = CASE WHEN length(r.partner) = ${UUID_BYTES}
      THEN encode(r.partner, 'hex')::uuid END`,
    namesBack: `encode(p.partner, 'hex') = replace(r.id::text, '-', '')`,
  }).map(([problem, where]) => [problem, `${REQUEST} WHERE ${where}`] as const),
];

const COUNTS = `SELECT kind, state, count(*) FROM ${REQUEST} GROUP BY kind, state`;
const SIZES = `SELECT (SELECT count(*) FROM ${SCHEMA}.key),
    (SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = '${SCHEMA}' AND c.relkind = 'r')`;

function unusableRows({ problem, table, where }: (typeof UNUSABLE)[number]): [string, string] {
  return [problem, `${SCHEMA}.${table} WHERE ${where}`];
}

/** A store in a database, and which one it is to be. */
export interface Examined {
  readonly login: Login;
  /** For messages: without the user. */
  readonly name: string;
  /** The id of the store that the data directory remembers; `null`: any. */
  readonly storeId: string | null;
}

/** @throws as `connect` */
async function over<Result>(
  login: Login,
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const { connection } = await connect(login, { hostIndex: 0 }, CONNECT_MS);
  try {
    return await work(connection);
  } catch (error) {
    throw await failedCommand(connection, error, login.address);
  } finally {
    await connection.close();
  }
}

/**
 * Compares the tables with each other, as of one moment; the broker may be running.
 * @param onProgress checks done, of how many
 * @throws ERR_TITANIC_LOST if it is another store, ERR_TITANIC_STORE if there is none or a right is
 * missing, ERR_TITANIC_DISK if something of the tables is missing, and as `connect`
 */
export async function verifyDatabase(
  { login, name, storeId }: Examined,
  onProgress: (done: number, all: number) => void,
): Promise<DatabaseReport> {
  return await over(login, async (connection) => {
    const missing = await refuseDamaged(connection);
    await connection.ask('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await setWholeTables(connection, 'on');
    const [meta] = await connection.ask(`SELECT format, store_id FROM ${SCHEMA}.meta`);
    const format = meta?.[0] as number;
    refuseNewer(format);
    refuseOther(name, meta?.[1] as Buffer, storeId);
    const problems = missing.map(({ text, sql }) => `${text}: ${sql}`);
    const progress = await unfinishedMove(connection);
    if (progress !== null) problems.push(`the requests of ${progress} are not all here yet`);
    const aside = await rowsSetAside(connection);
    if (aside !== null) problems.push(aside);
    const all = [...UNUSABLE.map(unusableRows), ...INVARIANTS];
    for (const [at, [problem, rows]] of all.entries()) {
      onProgress(at, all.length);
      const [row] = await connection.ask(`SELECT count(*) FROM ${rows}`);
      const count = row?.[0] as number;
      if (count > 0) problems.push(`${problem}: ${count}`);
    }
    const counts = await countIn(connection);
    await connection.ask('COMMIT');
    return { format, ...counts, problems };
  });
}

/** Within a transaction that may read whole tables. */
export async function countIn(
  connection: Connection,
): Promise<Omit<DatabaseReport, 'format' | 'problems'>> {
  const counts = noCounts();
  for (const [kind, number, count] of await connection.ask(COUNTS)) {
    const state = STATES[Number(number) - PENDING];
    if (state !== undefined) {
      counts[countOf({ kind: kindOfNumber(Number(kind)), state })] += Number(count);
    }
  }
  const [[keys, bytes] = []] = await connection.ask(SIZES);
  return { ...counts, keys: Number(keys), bytes: Number(bytes) };
}

/** @throws ERR_TITANIC_LOST */
export function refuseOther(name: string, found: Buffer, known: string | null): void {
  if (known !== null && found.toString('hex') !== known) throw otherStore(name, found, known);
}

/** What `doctor` asks a server. */
export interface ServerFacts {
  readonly host: string;
  /** Standbys for which a commit waits. */
  readonly synchronous: number;
  /** Whether a commit waits for standbys, also if none is there. */
  readonly isSynchronous: boolean;
  /** `null`: this engine does not tell. */
  readonly snapshots: Snapshots | null;
  /**
   * `absent`: a broker will make it. Else why a broker would not start on what is there, or the indexes
   * that are missing.
   */
  readonly store:
    | 'absent'
    | { readonly refused: string }
    | { readonly missing: readonly MissingIndex[]; readonly aside: string | null };
}

const SYNCHRONOUS = `SELECT current_setting('synchronous_standby_names') <> '',
  (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))`;

/** @throws as `connect` */
export async function askServer(examined: Examined): Promise<ServerFacts> {
  const { login } = examined;
  const { connection, server } = await connect(login, { hostIndex: 0 }, CONNECT_MS);
  try {
    const [row] = await connection.ask(SYNCHRONOUS);
    const [isSynchronous, synchronous] = row ?? [];
    const seen = await snapshots(connection).catch(() => null);
    return {
      host: server.host,
      synchronous: synchronous as number,
      isSynchronous: isSynchronous === true,
      snapshots: seen,
      store: await storeOn(connection, examined),
    };
  } finally {
    await connection.close();
  }
}

async function storeOn(connection: Connection, examined: Examined): Promise<ServerFacts['store']> {
  try {
    const missing = await missingIn(connection, examined);
    return missing === null ? 'absent' : { missing, aside: await rowsSetAside(connection) };
  } catch (error) {
    if (!connection.isOpen) throw error;
    const refusal = await tablesError(connection, error, examined.login.address);
    return { refused: storeText(examined.name, refusal) };
  }
}

/**
 * Refuses what a broker refuses at its start.
 * @returns the indexes that are missing; `null`: there is no store
 */
async function missingIn(
  connection: Connection,
  { login, name, storeId }: Examined,
): Promise<readonly MissingIndex[] | null> {
  await refuseMissingRights(connection, login.address);
  const missing = await refuseDamaged(connection);
  const [found] = await connection.ask(`SELECT to_regclass('${SCHEMA}.meta') IS NOT NULL`);
  const [meta] =
    found?.[0] === true ? await connection.ask(`SELECT format, store_id FROM ${SCHEMA}.meta`) : [];
  if (meta === undefined) {
    if (storeId !== null) throw otherStore(name, null, storeId);
    return null;
  }
  const format = meta[0] as number;
  refuseNewer(format);
  await refuseStrangersTables(connection, format, login.address);
  await refuseUnlogged(connection);
  refuseOther(name, meta[1] as Buffer, storeId);
  await refuseUnfinished(connection);
  return missing;
}
