/**
 * The sessions of brokers: each is the right to claim requests and to write to the store. It is a row
 * with a lease on the clock of the store. The broker renews it; whoever finds it overdue may mark it
 * dead, and no one can revive it. What a dead session had claimed is freed.
 *
 * The statements of a broker are fenced by its session and its fencing token. Once a connection is given up, a
 * statement that was sent over it may still arrive, however late: a network that was cut delivers it when it
 * is back. So before anything is sent again, or what was sent is taken for lost, the token is raised. Nothing with
 * an earlier one is under way then, and what arrives with it changes nothing.
 */
import type { Row } from './changes.js';
import type { Connection } from './connection.js';
import { refuseUnfinished } from './move-progress.js';
import { refuseNewer } from './migrate.js';
import { NEWEST_READABLE, SCHEMA, byIndex } from './schema.js';
import type { Statement } from './statements.js';
import { int8s } from './values.js';

const BROKER = `${SCHEMA}.broker`;
const REQUEST = `${SCHEMA}.request`;
/** How many requests one statement frees. */
const FREED_MAX = 1000;
/** How many dead sessions are kept for people to look at. */
const DEAD_RETAINED = 20;

/** Who asks for a session. */
export interface Claimant {
  readonly node: string;
  /**
   * Id of the data directory. A session of the same one is over: the lock on the directory shows that
   * the process that had it has ended.
   */
  readonly directoryId: Buffer;
  readonly leaseMs: number;
}

export interface Taken {
  readonly session: number;
  /** Another session has lasted within the time that was asked for, and may have changed the store. */
  readonly wasUsed: boolean;
}

/** Another broker that is connected to the store, or was. */
export interface OtherSession {
  readonly session: number;
  readonly node: string;
  /** Changes with each renewal. */
  readonly lease: string;
  /** By the clock of the store. */
  readonly isOverdue: boolean;
}

const RENEW: Statement = {
  name: 'renew',
  text: `UPDATE ${BROKER} SET lease_until = clock_timestamp() + $2::bigint * interval '1 ms'
    WHERE session = $1::bigint AND NOT dead
    RETURNING floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint`,
};

export async function renew(
  connection: Connection,
  session: number,
  leaseMs: number,
): Promise<number | null> {
  const [row] = await connection.run(RENEW, [session, leaseMs]);
  return row === undefined ? null : (row[0] as number);
}

export async function take(
  connection: Connection,
  { node, directoryId, leaseMs }: Claimant,
  withinMs: number,
): Promise<Taken> {
  await connection.ask('BEGIN');
  try {
    // One at a time.
    const [meta] = await connection.ask(`SELECT format FROM ${SCHEMA}.meta FOR UPDATE`);
    refuseNewer(meta?.[0] as number);
    await refuseUnfinished(connection);
    const [used] = await connection.ask(
      `SELECT EXISTS (
        SELECT 1 FROM ${BROKER}
        WHERE NOT dead OR lease_until > clock_timestamp() - $1::bigint * interval '1 ms'
      )`,
      [Math.ceil(withinMs)],
    );
    await connection.ask(
      `WITH old AS (SELECT session FROM ${BROKER} WHERE NOT dead AND home = $1 FOR UPDATE)
        UPDATE ${BROKER} b SET dead = true FROM old WHERE b.session = old.session`,
      [directoryId],
    );
    const [row] = await connection.ask(
      `INSERT INTO ${BROKER} (node, home, lease_until, dead, readable)
        VALUES ($1, $2, clock_timestamp() + $3::bigint * interval '1 ms', false, $4::bigint)
        RETURNING session`,
      [Buffer.from(node), directoryId, leaseMs, NEWEST_READABLE],
    );
    const session = row?.[0] as number;
    // Those that have nothing claimed any more.
    await connection.ask(
      `DELETE FROM ${BROKER} b WHERE b.dead AND b.session < $1::bigint
        AND NOT EXISTS (SELECT 1 FROM ${REQUEST} r WHERE r.session = b.session)`,
      [session - DEAD_RETAINED],
    );
    await connection.ask('COMMIT');
    return { session, wasUsed: used?.[0] === true };
  } catch (error) {
    if (connection.isOpen) await connection.ask('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

const OTHERS: Statement = {
  name: 'others',
  text: `SELECT session, node, lease_until::text, lease_until < clock_timestamp()
    FROM ${BROKER} WHERE NOT dead AND session <> $1::bigint ORDER BY session`,
};

export async function others(connection: Connection, mine: number): Promise<OtherSession[]> {
  return (await connection.run(OTHERS, [mine])).map(([session, node, lease, isOverdue]) => ({
    session: session as number,
    node: String(node),
    lease: String(lease),
    isOverdue: isOverdue === true,
  }));
}

export async function endSession(
  connection: Connection,
  { session, lease }: OtherSession,
): Promise<boolean> {
  const rows = await connection.ask(
    `WITH old AS (
        SELECT session FROM ${BROKER}
        WHERE session = $1::bigint AND NOT dead AND lease_until < clock_timestamp()
          AND lease_until::text = convert_from($2::bytea, 'UTF8') FOR UPDATE SKIP LOCKED
      )
      UPDATE ${BROKER} b SET dead = true FROM old WHERE b.session = old.session
      RETURNING b.session`,
    [session, Buffer.from(lease)],
  );
  return rows.length > 0;
}

/**
 * Frees claims of sessions that are dead, or whose row somebody has deleted. One look into the index leads
 * to the next session that has claimed anything.
 */
export const FREE: Statement = {
  name: 'free',
  text: `WITH RECURSIVE claiming AS (
      SELECT 0::bigint AS session
      UNION ALL
      SELECT (
        SELECT r.session FROM ${REQUEST} r WHERE r.session > c.session ORDER BY r.session LIMIT 1
      ) FROM claiming c WHERE c.session IS NOT NULL
    ),
    held AS MATERIALIZED (
      SELECT r.id FROM ${REQUEST} r
      WHERE r.session = ANY (ARRAY(
        SELECT c.session FROM claiming c WHERE NOT EXISTS (
          SELECT 1 FROM ${BROKER} b WHERE b.session = c.session AND NOT b.dead
        )
      ))
      LIMIT ${FREED_MAX} FOR UPDATE OF r SKIP LOCKED
    )
    UPDATE ${REQUEST} r SET session = NULL FROM held h WHERE ${byIndex('r.id', 'h.id')}
    RETURNING 1`,
};

export async function free(connection: Connection): Promise<void> {
  while ((await connection.run(FREE, [])).length === FREED_MAX);
}

export async function leave(connection: Connection, session: number): Promise<void> {
  await connection.ask(
    `WITH mine AS (SELECT session FROM ${BROKER} WHERE session = $1::bigint FOR UPDATE)
      UPDATE ${BROKER} b SET dead = true FROM mine WHERE b.session = mine.session`,
    [session],
  );
  await free(connection);
}

/** Waits for all that hold the lock of the fence. */
export const NEW_FENCING_TOKEN: Statement = {
  name: 'new_fencing_token',
  text: `WITH alone AS MATERIALIZED (
    SELECT session FROM ${BROKER} WHERE session = $1::bigint FOR UPDATE
  )
  UPDATE ${BROKER} b SET era = b.era + 1 FROM alone a WHERE b.session = a.session
  RETURNING b.era`,
};

const FENCING_TOKEN: Statement = {
  name: 'fencing_token',
  text: `SELECT era FROM ${BROKER} WHERE session = $1::bigint AND NOT dead`,
};

/** What the statements of a session are fenced by. */
export interface FenceValue {
  readonly session: number;
  readonly token: number;
}

/** The fence as the statements take it. */
export function fenceValue(session: number, token: number): Buffer {
  return int8s([session, token]);
}

export async function raiseToken(connection: Connection, session: number): Promise<number> {
  return tokenIn(await connection.run(NEW_FENCING_TOKEN, [session]));
}

export async function token(connection: Connection, session: number): Promise<number> {
  return tokenIn(await connection.run(FENCING_TOKEN, [session]));
}

function tokenIn([row]: readonly Row[]): number {
  return (row?.[0] ?? 0) as number;
}
