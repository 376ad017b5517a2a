/** Every statement that reads for people. */
import { DEAD } from './schema.js';

/** In the order of `PendingRow`, bytes as text: that is read into JavaScript much faster. */
const COLUMNS = `hex(uuid), hex(service), owner, number, state - 1, priority, accepted_at, not_before,
  expires_at, max_attempts, attempts, generation, body_bytes, shared`;

/** From the newest on: uuids of version 7 are in the order of acceptance. */
const NEWEST = 'ORDER BY uuid DESC';
const OF_SERVICE = '(:service IS NULL OR service = :service)';

export const READER_SQL = {
  /** The last row of a slice. */
  end: `SELECT hex(uuid) FROM requests WHERE uuid < ? ${NEWEST} LIMIT 1 OFFSET ?`,
  slice: `SELECT ${COLUMNS} FROM requests WHERE uuid < :from AND uuid >= :to
    AND (:state IS NULL OR state = :state) AND ${OF_SERVICE} ${NEWEST} LIMIT :most`,
  endOfDead: `SELECT hex(uuid) FROM requests INDEXED BY requests_dead
    WHERE state = ${DEAD} AND uuid < ? ${NEWEST} LIMIT 1 OFFSET ?`,
  sliceOfDead: `SELECT ${COLUMNS} FROM requests INDEXED BY requests_dead
    WHERE state = ${DEAD} AND uuid < :from AND uuid >= :to AND ${OF_SERVICE} ${NEWEST} LIMIT :most`,
  one: `SELECT ${COLUMNS} FROM requests WHERE uuid = ?`,
  more: 'SELECT key IS NOT NULL AS hasKey, attempts_ever AS attemptsEver FROM requests WHERE uuid = ?',
  attempts: `SELECT worker, started_at AS startedAt, ended_at AS endedAt, reason, hex(failure) AS failure
    FROM attempts WHERE number = ? ORDER BY ordinal`,
  reply: 'SELECT length(reply) AS bytes, worker, replied_at AS at FROM replies WHERE number = ?',
  death: 'SELECT reason, died_at AS at FROM deaths WHERE number = ?',
};
