/** Which rows somebody has locked, and who. */
import type { RequestUuid } from '../../store/store.js';
import type { Connection } from './connection.js';
import { SCHEMA } from './schema.js';
import type { Statement } from './statements.js';
import { uuids } from './values.js';

/** The requests, of those asked for, of which another session has locked the row or a body. Waits for no lock. */
const LOCKED: Statement = {
  name: 'locked',
  text: `WITH free AS MATERIALIZED (
      SELECT r.id FROM ${SCHEMA}.request r WHERE r.id = ANY ($1::uuid[]) FOR UPDATE SKIP LOCKED
    ),
    bodies AS MATERIALIZED (
      SELECT b.id, b.kind FROM ${SCHEMA}.body b WHERE b.id = ANY ($1::uuid[]) FOR UPDATE SKIP LOCKED
    )
    SELECT r.id FROM ${SCHEMA}.request r
    WHERE r.id = ANY ($1::uuid[]) AND r.id <> ALL (ARRAY(SELECT f.id FROM free f))
    UNION
    SELECT b.id FROM ${SCHEMA}.body b
    WHERE b.id = ANY ($1::uuid[])
      AND NOT EXISTS (SELECT 1 FROM bodies f WHERE f.id = b.id AND f.kind = b.kind)`,
};

/**
 * The processes of the server that hold these locks, each with one of the requests. Those of brokers are left
 * out: their transactions end by themselves. Not all servers have these tables.
 */
const HOLDERS = `SELECT a.pid, (array_agg(o.id))[1] FROM (
    SELECT r.id, r.xmax FROM ${SCHEMA}.request r WHERE r.id = ANY ($1::uuid[])
    UNION ALL
    SELECT b.id, b.xmax FROM ${SCHEMA}.body b WHERE b.id = ANY ($1::uuid[])
  ) o (id, holder)
  JOIN pg_locks l ON l.transactionid = o.holder AND l.granted
  JOIN pg_stat_activity a ON a.pid = l.pid AND a.application_name IS DISTINCT FROM 'majordomo'
  GROUP BY a.pid`;

/** What was found locked, and by which process of the server; `null`: not known. */
export interface LockedRow {
  readonly uuid: RequestUuid;
  readonly pid: number | null;
}

export async function locked(
  connection: Connection,
  asked: readonly RequestUuid[],
): Promise<RequestUuid[]> {
  const rows = await connection.run(LOCKED, [uuids(asked)]);
  return rows.map(([uuid]) => uuid as RequestUuid);
}

export async function lockHolders(
  connection: Connection,
  asked: readonly RequestUuid[],
): Promise<LockedRow[]> {
  const [first] = asked;
  if (first === undefined) return [];
  const rows = await connection.ask(HOLDERS, [uuids(asked)]).catch(() => []);
  if (rows.length === 0) return [{ uuid: first, pid: null }];
  return rows.map(([pid, uuid]) => ({ uuid: uuid as RequestUuid, pid: pid as number }));
}
