/**
 * What a store file contains, counted when it is opened. From then on the counts are in memory: in
 * the file, they would be three more tables that every receipt writes.
 */
import type Database from 'better-sqlite3';

import { KEY_BYTES, KEY_COPIES, type Owner, type OwnerCount } from '../../store.js';
import { ONCE_KEY_BYTES, ONCE_KEY_GLOB } from '../../../wire/tsp.js';
import { DEAD, PENDING, REPLIED } from '../file/schema.js';

export interface ContentCounts {
  readonly pending: number;
  readonly replied: number;
  readonly dead: number;
  readonly tombstones: number;
  readonly owners: readonly OwnerCount[];
}

/**
 * Temporary tables are in memory, and roll back with their transaction. `services` has the requests
 * of each service by state; `retrying`: pending requests whose last attempt failed.
 */
const COUNT = `
  CREATE TEMP TABLE counted AS
    SELECT service, owner, state, state = ${PENDING} AND attempts > 0 AS is_retrying,
      count(*) AS requests, sum(body_bytes + coalesce(length(extra), 0)) AS bytes
    FROM requests GROUP BY service, owner, state, is_retrying;

  CREATE TEMP TABLE services (
    service BLOB PRIMARY KEY,
    pending INTEGER NOT NULL,
    retrying INTEGER NOT NULL,
    replied INTEGER NOT NULL,
    dead INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  INSERT INTO services
    SELECT service, sum(iif(state = ${PENDING}, requests, 0)), sum(iif(is_retrying, requests, 0)),
      sum(iif(state = ${REPLIED}, requests, 0)), sum(iif(state = ${DEAD}, requests, 0))
    FROM counted GROUP BY service;`;

const STATES = `SELECT coalesce(sum(pending), 0) AS pending, coalesce(sum(replied), 0) AS replied,
  coalesce(sum(dead), 0) AS dead, (SELECT count(*) FROM tombstones) AS tombstones FROM services`;

const OWNERS = `SELECT owner, sum(stored) AS stored, sum(bytes) AS bytes FROM (
    SELECT owner, requests AS stored, bytes FROM counted
    UNION ALL SELECT owner, 0, length(reply) FROM replies JOIN requests USING (number)
    UNION ALL SELECT owner, 0, ${KEY_BYTES} + ${KEY_COPIES} * (length(service) + length(key))
      FROM keys WHERE length(key) <> ${ONCE_KEY_BYTES} OR CAST(key AS TEXT) NOT GLOB '${ONCE_KEY_GLOB}'
  ) GROUP BY owner`;

/** Reads all requests and keys once, without bodies. */
export function countContent(db: Database.Database): ContentCounts {
  db.exec(COUNT);
  const states = db.prepare<[], Omit<ContentCounts, 'owners'>>(STATES).get();
  const owners = db.prepare<[], { owner: Owner; stored: number; bytes: number }>(OWNERS).all();
  db.exec('DROP TABLE temp.counted');
  return { pending: 0, replied: 0, dead: 0, tombstones: 0, ...states, owners };
}
