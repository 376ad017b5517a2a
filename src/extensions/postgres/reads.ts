/** The statements that only read, on a connection of their own. */
import { KEPT_KINDS } from '../../store/record-kind.js';
import { DEAD, IS_LISTED, PENDING, REQUEST_BODY, SCHEMA, byIndex } from './schema.js';
import { keySize, pendingColumns, type Statement } from './statements.js';

const REQUEST = `${SCHEMA}.request`;
const BODY = `${SCHEMA}.body`;

/**
 * What is larger is read in parts of this size: a value arrives as text of twice its size, which has to
 * fit in a string of Node (512 MiB), and within the time limit of a statement.
 */
const PART_BYTES = 16 * 1024 * 1024;

/** The content of a row of `body`, if it is read in one piece. */
export const WHOLE_FRAMES = `CASE WHEN length(b.frames) <= ${PART_BYTES} THEN b.frames END`;

/**
 * A part of what belongs to a request in a generation, with the size of the whole. Parameters: uuid,
 * kind, generation, the first byte (from 1).
 */
export const PART: Statement = {
  name: 'part',
  text: `SELECT length(b.frames), substr(b.frames, $4::int4, ${PART_BYTES})
  FROM ${REQUEST} r JOIN ${BODY} b ON b.id = r.id AND b.kind = $2::int4
  WHERE r.id = $1::uuid AND r.generation = $3::int8`,
};

/** What belongs to the state of a settled request: a reply up to a size, or a reason. */
export const LOOK_UP: Statement = {
  name: 'look_up',
  text: `SELECT i.n, r.state, r.owner, r.shared, r.reply_bytes, r.generation,
    CASE WHEN r.state = ${DEAD} OR r.reply_bytes <= i.most THEN
      (SELECT ${WHOLE_FRAMES} FROM ${BODY} b WHERE b.id = r.id AND b.kind = r.state) END,
    CASE WHEN r.state = ${DEAD} THEN
      (SELECT a.failure FROM ${SCHEMA}.attempt a WHERE a.id = r.id ORDER BY a.n DESC LIMIT 1) END
  FROM unnest($1::int4[], $2::uuid[], $3::int8[]) AS i (n, id, most)
    JOIN ${REQUEST} r ON ${byIndex('r.id', 'i.id')} AND r.state >= ${PENDING} AND r.state <= ${DEAD}`,
};

export const LOAD: Statement = {
  name: 'load',
  text: `SELECT i.n, r.generation,
    (SELECT ${WHOLE_FRAMES} FROM ${BODY} b WHERE b.id = i.id AND b.kind = ${REQUEST_BODY}), r.extra
  FROM unnest($1::int4[], $2::uuid[]) AS i (n, id)
    JOIN ${REQUEST} r ON ${byIndex('r.id', 'i.id')} AND r.state = ${PENDING}`,
};

const PENDING_REQUEST = `SELECT ${pendingColumns('r')} FROM ${REQUEST} r`;

/** All pending requests; for tests and tools, since none of the indexes has them in this order. */
export const LIST: Statement = {
  name: 'list',
  text: `${PENDING_REQUEST} WHERE state = ${PENDING} AND seq > $1::bigint
  ORDER BY seq LIMIT $2::bigint`,
};

export const LIST_KEPT: Statement = {
  name: 'list_kept',
  text: `${PENDING_REQUEST} WHERE ${IS_LISTED} AND kind IN (${KEPT_KINDS}) AND seq > $1::bigint ORDER BY seq LIMIT $2::bigint`,
};

/** Selects those of the given requests that a session has claimed. */
export const CLAIMED_OF: Statement = {
  name: 'claimed_of',
  text: `${PENDING_REQUEST} WHERE id = ANY ($1::uuid[]) AND session = $2::bigint`,
};

/** All requests by service, owner, kind and state; counts every row, without bodies. */
export const COUNT = `SELECT service, owner, kind, state, state = ${PENDING} AND attempts > 0,
    count(*), sum(body_bytes + coalesce(length(extra), 0))::bigint, sum(reply_bytes)::bigint
  FROM ${REQUEST} GROUP BY 1, 2, 3, 4, 5`;

/** What keys take, by owner. */
export const COUNT_KEYS = `SELECT owner, sum(${keySize('k')})::bigint FROM ${SCHEMA}.key k
  WHERE NOT once GROUP BY owner`;
