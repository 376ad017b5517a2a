/** All statements that read for display. */
import { REASON_CHARACTERS_MAX } from '../../queries.js';
import { SHOWN_BYTES_MAX } from '../../bodies.js';
import { requestColumns } from '../../rows.js';
import { numberOfKind } from '../../record-kind.js';
import { kindCondition } from '../../stored-filter.js';
import { DEAD, REPLIED } from '../file/schema.js';

/** A column of the death record, or else of the last kept attempt, in SQL; NULL for a replied request. */
function latest(ofDeath: string, ofAttempt: string): string {
  return `CASE WHEN state = ${REPLIED} THEN NULL ELSE coalesce(
    (SELECT ${ofDeath} FROM deaths WHERE deaths.number = requests.number),
    (SELECT ${ofAttempt} FROM attempts WHERE attempts.number = requests.number
      ORDER BY ordinal DESC LIMIT 1)
  ) END`;
}

const REASON = latest('reason', 'reason');

/** The columns of `ListedRow`, with bytes as text, which is read into JavaScript much faster. */
const COLUMNS = `${requestColumns((column, { as }) => (as === 'bytes' ? `hex(${column})` : column))},
  substr(${REASON}, 1, ${REASON_CHARACTERS_MAX}), ${latest('died_at', 'ended_at')}`;

/** The columns of `ScannedRow`, a row that is examined. What the filter does not want is not looked up. */
const SCANNED = `hex(uuid), hex(service), CASE WHEN :reason THEN ${REASON} END,
  CASE WHEN :extra THEN extra END,
  CASE WHEN :diedAt THEN (SELECT died_at FROM deaths WHERE deaths.number = requests.number) END,
  not_before, attempts`;

/** Newest first: uuids of version 7 are in order of acceptance. */
const NEWEST = 'ORDER BY uuid DESC';
/** Byte by byte: nothing in a name is a wildcard. */
const MATCHES = `(:states >> state) & 1 AND ${kindCondition(':kind')} AND CASE :match
    WHEN 'any' THEN TRUE
    WHEN 'exact' THEN service = :service
    WHEN 'prefix' THEN substr(service, 1, length(:service)) = :service
    ELSE instr(service, :service) > 0 END
  AND (length(:own) = 0 OR own = :own AND kind = ${numberOfKind('request')})`;
const WITHIN = 'uuid < :from AND uuid >= :to';
const DEAD_ONES = `requests INDEXED BY requests_dead WHERE state = ${DEAD} AND`;

export const QUERY_SQL = {
  /** The last row of a slice. */
  end: `SELECT hex(uuid) FROM requests WHERE ${WITHIN} ${NEWEST} LIMIT 1 OFFSET :offset`,
  endOfDead: `SELECT hex(uuid) FROM ${DEAD_ONES} ${WITHIN} ${NEWEST} LIMIT 1 OFFSET :offset`,
  slice: `SELECT ${SCANNED} FROM requests WHERE ${WITHIN} AND ${MATCHES} ${NEWEST} LIMIT :most`,
  sliceOfDead: `SELECT ${SCANNED} FROM ${DEAD_ONES} ${WITHIN} AND ${MATCHES} ${NEWEST} LIMIT :most`,
  count: `SELECT count(*) FROM requests WHERE ${WITHIN}`,
  countOfDead: `SELECT count(*) FROM ${DEAD_ONES} ${WITHIN}`,
  one: `SELECT ${COLUMNS} FROM requests WHERE uuid = ?`,
  more: `SELECT key IS NOT NULL AS hasKey, attempts_ever AS attemptsEver, extra
    FROM requests WHERE uuid = ?`,
  attempts: `SELECT worker, started_at AS startedAt, ended_at AS endedAt, reason, failure
    FROM attempts WHERE number = ? ORDER BY ordinal`,
  reply: 'SELECT length(reply) AS bytes, worker, replied_at AS at FROM replies WHERE number = ?',
  death: 'SELECT reason, died_at AS at FROM deaths WHERE number = ?',
  /** Only the beginnings leave the thread, whatever the size. */
  bodies: `SELECT substr(body, 1, ${SHOWN_BYTES_MAX}) AS body, length(body) AS bodyBytes,
    substr(reply, 1, ${SHOWN_BYTES_MAX}) AS reply, length(reply) AS replyBytes, extra
    FROM requests LEFT JOIN bodies USING (number) LEFT JOIN replies USING (number) WHERE uuid = ?`,
  hasKey: 'SELECT 1 FROM keys WHERE service = :service AND key = :key AND owner = :owner',
};
