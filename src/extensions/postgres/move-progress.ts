/**
 * The store file from which the requests of a database come: a row that says how far its copying
 * has come. While that is unfinished no broker uses the database, and while a broker does, nothing
 * is copied there: both take the same lock first, the row in `meta`.
 */
import { MajordomoError } from '../../core/errors.js';
import type { RequestUuid } from '../../store/store.js';
import type { Connection } from './connection.js';
import { SCHEMA } from './schema.js';

const PROGRESS = `${SCHEMA}.origin`;
/** The tables that hold what is moved. */
export const CONTENT = ['request', 'body', 'attempt', 'key'] as const;

/** A store file, as this database remembers it. */
export interface Source {
  /** For people: where it is. */
  readonly file: string;
  readonly storeId: Buffer;
  /** Changes whenever a broker has used it. */
  readonly openings: number;
}

export type Begun =
  /**
   * `after`: the last request that is here. `anew`: what an earlier run had copied was dropped, because
   * the file was used since.
   */
  | {
      readonly kind: 'copy';
      readonly after: RequestUuid;
      readonly how: 'first' | 'resumed' | 'anew';
    }
  | { readonly kind: 'finished' };

/** The place before all requests. */
const START: RequestUuid = Buffer.alloc(16);

interface MoveProgress extends Source {
  readonly after: RequestUuid;
  readonly isFinished: boolean;
}

async function read(connection: Connection): Promise<MoveProgress | null> {
  const [row] = await connection.ask(
    `SELECT file, store_id, openings, after_id, finished FROM ${PROGRESS}`,
  );
  if (row === undefined) return null;
  const [file, storeId, openings, after, isFinished] = row;
  return {
    file: String(file),
    storeId: storeId as Buffer,
    openings: openings as number,
    after: (after as Buffer | null) ?? START,
    isFinished: isFinished === true,
  };
}

/** The file that is being moved here, in words; `null`: none is. */
export async function unfinishedMove(connection: Connection): Promise<string | null> {
  // A start that was interrupted may have made no more than the table of the format.
  const [has] = await connection.ask(`SELECT to_regclass('${PROGRESS}') IS NOT NULL`);
  if (has?.[0] !== true) return null;
  const progress = await read(connection);
  return progress === null || progress.isFinished ? null : progress.file;
}

/** @throws ERR_TITANIC_STORE while a file is being moved here */
export async function refuseUnfinished(connection: Connection): Promise<void> {
  const file = await unfinishedMove(connection);
  if (file !== null) throw unfinished(file);
}

function unfinished(file: string): MajordomoError {
  const text = `the requests of ${file} were not all moved here: run \`majordomo migrate\` again, which continues; or, to give it up, drop the schema ${SCHEMA}: the file still has everything`;
  return new MajordomoError('ERR_TITANIC_STORE', text);
}

/**
 * Begins the copying of a file, or continues it. It holds the lock for a moment only: from then on
 * the row keeps brokers out.
 * @throws ERR_TITANIC_BUSY if a broker uses the database; ERR_TITANIC_STORE if it holds, or is to
 * hold, requests from elsewhere
 */
export async function begin(connection: Connection, source: Source): Promise<Begun> {
  await connection.ask('BEGIN');
  try {
    await connection.ask(`SELECT 1 FROM ${SCHEMA}.meta FOR UPDATE`);
    const begun = await beginLocked(connection, source);
    await connection.ask('COMMIT');
    return begun;
  } catch (error) {
    if (connection.isOpen) await connection.ask('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function beginLocked(connection: Connection, source: Source): Promise<Begun> {
  const progress = await read(connection);
  const isOurs = progress?.storeId.equals(source.storeId) === true;
  if (progress !== null && isOurs && progress.isFinished) return { kind: 'finished' };
  await refuseBrokers(connection);
  if (progress === null || progress.isFinished) {
    await refuseContent(connection, progress);
    await remember(connection, source);
    return { kind: 'copy', after: START, how: 'first' };
  }
  if (!isOurs) throw unfinished(progress.file);
  if (progress.openings === source.openings) {
    return { kind: 'copy', after: progress.after, how: 'resumed' };
  }
  for (const table of CONTENT) await connection.ask(`DELETE FROM ${SCHEMA}.${table}`);
  await remember(connection, source);
  return { kind: 'copy', after: START, how: 'anew' };
}

async function refuseBrokers(connection: Connection): Promise<void> {
  const [alive] = await connection.ask(`SELECT node, session FROM ${SCHEMA}.broker
    WHERE NOT dead AND lease_until > clock_timestamp() ORDER BY session LIMIT 1`);
  if (alive !== undefined) {
    const text = `the broker ${String(alive[0])} uses the database (session ${String(alive[1])}): stop it, or wait for the end of its lease if it has died`;
    throw new MajordomoError('ERR_TITANIC_BUSY', text);
  }
  // One that comes back finds that its session has ended: what it sends changes nothing.
  await connection.ask(`UPDATE ${SCHEMA}.broker SET dead = true WHERE NOT dead`);
}

async function refuseContent(connection: Connection, progress: MoveProgress | null): Promise<void> {
  for (const table of CONTENT) {
    const [any] = await connection.ask(`SELECT EXISTS (SELECT 1 FROM ${SCHEMA}.${table})`);
    if (any?.[0] !== true) continue;
    const from = progress === null ? '' : `, once moved from ${progress.file}`;
    const text = `the database holds receipts of another store already${from}: use an empty database`;
    throw new MajordomoError('ERR_TITANIC_STORE', text);
  }
}

async function remember(
  connection: Connection,
  { file, storeId, openings }: Source,
): Promise<void> {
  await connection.ask(`DELETE FROM ${PROGRESS}`);
  await connection.ask(
    `INSERT INTO ${PROGRESS} (one, file, store_id, openings) VALUES (true, $1, $2, $3::bigint)`,
    [Buffer.from(file), storeId, openings],
  );
}

const PASSED = {
  name: 'passed',
  text: `UPDATE ${PROGRESS} SET after_id = $3::uuid WHERE NOT finished AND store_id = $1
    AND coalesce(after_id, '00000000-0000-0000-0000-000000000000') = $2::uuid RETURNING one`,
};

/**
 * Records how far the copying has come, in the transaction of what it stands for.
 * @throws ERR_TITANIC_BUSY if another process copies meanwhile
 */
export async function pass(
  connection: Connection,
  storeId: Buffer,
  before: RequestUuid,
  after: RequestUuid,
): Promise<void> {
  const rows = await connection.run(PASSED, [storeId, before, after]);
  if (rows.length > 0) return;
  const text = 'another `majordomo migrate` works on this database: end one of them';
  throw new MajordomoError('ERR_TITANIC_BUSY', text);
}

/**
 * Commits once more: with a synchronous standby, everything before is there after this.
 * @throws ERR_TITANIC_STORE_AWAY if the wait for the standby was cancelled
 */
export async function confirm(connection: Connection): Promise<void> {
  connection.takeDoubt();
  await connection.ask(`UPDATE ${PROGRESS} SET finished = finished`);
  if (!connection.takeDoubt()) return;
  const text = 'the wait for the standby was cancelled, so it may not have the copy: migrate again';
  throw new MajordomoError('ERR_TITANIC_STORE_AWAY', text);
}

/** Opens the database to brokers. */
export async function finish(connection: Connection, storeId: Buffer): Promise<void> {
  await connection.ask(`UPDATE ${PROGRESS} SET finished = true WHERE store_id = $1`, [storeId]);
}
