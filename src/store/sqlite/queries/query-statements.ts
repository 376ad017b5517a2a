/** All statements that read for display. */
import { REASON_CHARACTERS_MAX } from '../../queries.js';
import { SHOWN_BYTES_MAX } from '../../bodies.js';
import { requestColumns } from '../../rows.js';
import { TITANIC_SCHEDULE } from '../../../wire/tsp.js';
import { DEAD, REPLIED } from '../file/schema.js';

/** Looked up only for the rows of a page, not for all rows examined. */
const REASON = `CASE WHEN state = ${REPLIED} THEN NULL ELSE substr(coalesce(
    (SELECT reason FROM deaths WHERE deaths.number = requests.number),
    (SELECT reason FROM attempts WHERE attempts.number = requests.number ORDER BY ordinal DESC LIMIT 1)
  ), 1, ${REASON_CHARACTERS_MAX}) END`;

/** Of `ListedRow`, with bytes as text, which is read into JavaScript much faster. */
const COLUMNS = `${requestColumns((column, { as }) => (as === 'bytes' ? `hex(${column})` : column))},
  ${REASON}`;

/** Newest first: uuids of version 7 are in order of acceptance. */
const NEWEST = 'ORDER BY uuid DESC';
/** Schedules do not wait for workers: they are in no list, unless it is asked for theirs. */
const OF_SERVICE = `(service = :service
  OR :service IS NULL AND service <> CAST('${TITANIC_SCHEDULE}' AS BLOB))`;

export const QUERY_SQL = {
  /** The last row of a slice. */
  end: `SELECT hex(uuid) FROM requests WHERE uuid < ? ${NEWEST} LIMIT 1 OFFSET ?`,
  slice: `SELECT ${COLUMNS} FROM requests WHERE uuid < :from AND uuid >= :to
    AND (:state IS NULL OR state = :state) AND ${OF_SERVICE} ${NEWEST} LIMIT :most`,
  endOfDead: `SELECT hex(uuid) FROM requests INDEXED BY requests_dead
    WHERE state = ${DEAD} AND uuid < ? ${NEWEST} LIMIT 1 OFFSET ?`,
  sliceOfDead: `SELECT ${COLUMNS} FROM requests INDEXED BY requests_dead
    WHERE state = ${DEAD} AND uuid < :from AND uuid >= :to AND ${OF_SERVICE} ${NEWEST} LIMIT :most`,
  one: `SELECT ${COLUMNS} FROM requests WHERE uuid = ?`,
  more: `SELECT key IS NOT NULL AS hasKey, attempts_ever AS attemptsEver, hex(extra) AS extra
    FROM requests WHERE uuid = ?`,
  attempts: `SELECT worker, started_at AS startedAt, ended_at AS endedAt, reason, hex(failure) AS failure
    FROM attempts WHERE number = ? ORDER BY ordinal`,
  reply: 'SELECT length(reply) AS bytes, worker, replied_at AS at FROM replies WHERE number = ?',
  death: 'SELECT reason, died_at AS at FROM deaths WHERE number = ?',
  /** Only the beginnings leave the thread, whatever the size. */
  bodies: `SELECT hex(substr(body, 1, ${SHOWN_BYTES_MAX})) AS body, length(body) AS bodyBytes,
    hex(substr(reply, 1, ${SHOWN_BYTES_MAX})) AS reply, length(reply) AS replyBytes,
    hex(extra) AS extra
    FROM requests LEFT JOIN bodies USING (number) LEFT JOIN replies USING (number) WHERE uuid = ?`,
};
