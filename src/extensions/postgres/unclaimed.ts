/** How long requests have waited that no broker has claimed: no broker knows them. */
import type { Connection } from './connection.js';
import { IS_CLAIMABLE, SCHEMA } from './schema.js';
import type { Statement } from './statements.js';

const SERVICES_MAX = 1000;

/**
 * The first request of each service, in the order of claims. One look into the index leads to the next
 * service, so it does not matter how many requests wait.
 */
export const UNCLAIMED: Statement = {
  name: 'unclaimed',
  text: `WITH RECURSIVE waiting AS (
    SELECT ''::bytea AS service
    UNION ALL
    SELECT (
      SELECT r.service FROM ${SCHEMA}.request r WHERE ${IS_CLAIMABLE} AND r.service > w.service
      ORDER BY r.service, r.priority DESC, r.seq LIMIT 1
    ) FROM waiting w WHERE w.service IS NOT NULL
  )
  SELECT w.service, first.since FROM waiting w, LATERAL (
    SELECT CASE r.attempts WHEN 0 THEN greatest(r.accepted_at, r.not_before) ELSE r.accepted_at END
      AS since FROM ${SCHEMA}.request r
    WHERE ${IS_CLAIMABLE} AND r.service = w.service
    ORDER BY r.service, r.priority DESC, r.seq LIMIT 1
  ) first LIMIT ${SERVICES_MAX}`,
};

/** By service, one character per byte: since when the first one waits, in wall milliseconds. */
export async function unclaimedOf(connection: Connection): Promise<Map<string, number>> {
  const rows = await connection.run(UNCLAIMED, []);
  return new Map(
    rows.map(([service, since]) => [(service as Buffer).toString('latin1'), since as number]),
  );
}
