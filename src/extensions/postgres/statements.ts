/**
 * The statements that change a store: one for each operation, on a whole batch. Each is fenced: it
 * changes nothing unless the session of this broker is alive and has the same fencing token, and neither can end
 * before the statement's transaction has, because the session's row is locked. Rows are locked in the order of their
 * ids, so that no two writers wait for each other.
 *
 * Each returns whether the fence held, and what the rows were before it.
 */
import { ATTEMPTS_RETAINED, FIRST_CLAIM, KEY_BYTES, KEY_COPIES } from '../../store/store.js';
import { type RequestField, REQUEST_ROWS } from '../../store/request.js';
import { KNOWN_KINDS, numberOfKind } from '../../store/record-kind.js';
import { requestColumns } from '../../store/rows.js';
import {
  DEAD,
  IS_CLAIMABLE,
  IS_DELAYED,
  IS_TURN,
  PENDING,
  REPLIED,
  REQUEST_BODY,
  SCHEMA,
  byIndex,
  isGrouped,
} from './schema.js';

const REQUEST = `${SCHEMA}.request`;
const BODY = `${SCHEMA}.body`;
const ATTEMPT = `${SCHEMA}.attempt`;
const KEY = `${SCHEMA}.key`;

const SCHEDULE = numberOfKind('schedule');

/** Larger bodies are read when their request is sent: a claim of many would take too much memory. */
const CLAIMED_BODY_MAX = 16_384;

/** The column of a request's field; a store file has other names for two of them. */
export function columnOf({ name, column }: RequestField): string {
  if (name === 'uuid') return 'id';
  return name === 'number' ? 'seq' : column;
}

const NUMBERS = REQUEST_ROWS.filter(({ as }) => as === 'number');
const OTHERS = REQUEST_ROWS.filter(({ as }) => as !== 'number');

/** All columns of a request: see `requestFrom`. */
export function allColumns(of: string): string {
  return requestColumns((_, field) => `${of}.${columnOf(field)}`);
}

/**
 * Columns of a pending request, as brokers learn of it: first its numbers and its claim in one array, which
 * takes less time than a column for each. `pendingIn` in reader.ts reads them.
 */
export function pendingColumns(of: string): string {
  const others = requestColumns((_, field) => `${of}.${columnOf(field)}`, OTHERS);
  const numbers = requestColumns((_, field) => {
    const cast = field.kind === 'flag' ? '::int4::int8' : '::int8';
    return `${of}.${columnOf(field)}${cast}`;
  }, NUMBERS);
  return `ARRAY[${numbers}, ${of}.claim::int8], ${others}`;
}

/** A number is never null; an array may have nulls. */
type NumberType = 'int4' | 'int8' | 'bool';
type ArrayType = 'uuid' | 'bytea' | 'int4[]';
type Column = readonly [name: string, type: NumberType | ArrayType];

/** The session of this broker and its fencing token: the first parameter of all that is fenced. */
const MINE = '($1::int8[])[1]';
const FENCING_TOKEN = '($1::int8[])[2]';

/**
 * A renewal does not wait for this lock, however long a commit takes; the end of a session and a new fencing
 * token do (session.ts).
 */
const FENCE = `fence AS MATERIALIZED (
    SELECT 1 FROM ${SCHEMA}.broker WHERE session = ${MINE} AND era = ${FENCING_TOKEN} AND NOT dead
    FOR KEY SHARE
  )`;
const IS_FENCED = 'EXISTS (SELECT 1 FROM fence)';

/** The clock of the database, once for all statements of a batch: no broker's clock decides about order. */
const NOW_US = `floor(extract(epoch FROM transaction_timestamp()) * 1000000)::bigint`;
/** Milliseconds since 1970 by that clock. */
export const NOW_MS = `floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint`;

/** The columns of every change: its place in the batch, and its request. */
const OF_CHANGE: readonly Column[] = [
  ['n', 'int4'],
  ['id', 'uuid'],
];

/**
 * The changes of a batch as a table. Its numbers are one parameter, row after row; each other column is
 * an array of its own. (An element of an array takes less time than a column of `unnest`.)
 */
function input(columns: readonly Column[]): string {
  const numbers = columns.filter(([, type]) => isNumber(type));
  const arrays = columns.filter(([, type]) => !isNumber(type));
  const elements = numbers.map(([name, type], at) => {
    const element = `($2::int8[])[t.place * ${numbers.length} - ${numbers.length - at - 1}]`;
    if (type === 'int8') return `${element} AS ${name}`;
    return type === 'bool' ? `${element} = 1 AS ${name}` : `${element}::${type} AS ${name}`;
  });
  const names = arrays.map(([name]) => name);
  const parameters = arrays.map(
    ([, type], at) => `$${at + 3}::${type === 'int4[]' ? type : `${type}[]`}`,
  );
  return `input AS MATERIALIZED (
    SELECT ${[...elements, ...names.map((name) => `t.${name}`)].join(', ')}
    FROM unnest(${parameters.join(', ')}) WITH ORDINALITY AS t (${names.join(', ')}, place)
  )`;
}

function isNumber(type: NumberType | ArrayType): type is NumberType {
  return type === 'int4' || type === 'int8' || type === 'bool';
}

/** In the order of `ExistingRequest` in changes.ts. */
const FACTS = [
  ...['state', 'generation', 'attempts', 'attempts_ever', 'owner', 'service', 'kind', 'partner'],
  ...['body_bytes', 'extra_bytes', 'reply_bytes'],
];

function facts(of: string): string {
  return FACTS.map((name) => `${of}.${name}`).join(', ');
}

const NO_FACTS = FACTS.map(() => 'NULL').join(', ');
const R_FACTS = facts('r').replace('r.extra_bytes', 'coalesce(length(r.extra), 0) AS extra_bytes');

/**
 * True, or an error if another writer changed a request of `existing` after the statement began. The
 * request is then as that one left it, because it was locked after it; but all else is as it was before:
 * without a reply of that writer, which would stay for ever. So the statement divides by zero, and is
 * tried again (failures.ts). A request that is pending and was never tried has nothing to leave behind.
 * @param of of which requests
 */
function unchanged(of: string): string {
  const same = ['state', 'generation', 'attempts_ever'].map((name) => `q.${name} = s.${name}`);
  return `1 = 1 / (CASE WHEN NOT (${of}) OR s.state = ${PENDING} AND s.attempts_ever = 0
        OR EXISTS (SELECT 1 FROM ${REQUEST} q WHERE ${byIndex('q.id', 's.id')} AND ${same.join(' AND ')})
      THEN 1 ELSE 0 END)`;
}

/**
 * The beginning of a statement about requests that may exist: `existing` has those that do, locked, as
 * they are, with the columns of the input as `new_…`; `won` those of which `condition` is true.
 * Nothing is joined with the input again: without an index, a join of 256 rows takes 65,536 steps.
 * @param columns besides `OF_CHANGE`
 */
function found(columns: readonly Column[], condition: string): string {
  const added = columns.map(([name]) => `, i.${name} AS new_${name}`).join('');
  return `WITH ${FENCE}, ${input([...OF_CHANGE, ...columns])},
  locked AS MATERIALIZED (
    SELECT i.n, r.id, r.key, r.session = ${MINE} AS mine,
      r.session IS NULL AS unclaimed, r.claim, r.shared, ${R_FACTS}${added}
    FROM input i JOIN ${REQUEST} r ON ${byIndex('r.id', 'i.id')}, fence ORDER BY i.id FOR UPDATE OF r
  ),
  existing AS MATERIALIZED (SELECT s.*, (${condition}) IS TRUE AS wins FROM locked s),
  won AS MATERIALIZED (
    SELECT s.*, s.state AS was FROM existing s WHERE s.wins AND ${unchanged('s.wins')}
  )`;
}

/**
 * A step that only the broker makes that has the request claimed. A claim of null: whoever has it.
 */
const IS_OF_CLAIM = '(s.new_claim IS NULL OR s.mine AND s.new_claim = s.claim)';
/** A step that only the broker makes that has the partner claimed. */
const IS_OF_PARTNER_CLAIM = `(s.new_partner_claim IS NULL OR EXISTS (
      SELECT 1 FROM ${REQUEST} q WHERE ${byIndex('q.id', "encode(s.partner, 'hex')::uuid")}
        AND q.session = ${MINE} AND q.claim = s.new_partner_claim))`;
const IS_RAISED = 's.new_generation > s.generation';
const IS_SAME = 's.new_generation = s.generation';
const IS_ABOVE = `(${IS_OF_CLAIM} AND (${IS_RAISED}
      OR ${IS_SAME} AND s.state = ${PENDING} AND s.new_attempts > s.attempts))`;

/**
 * What was found, as one row for each group of like requests: the places of the changes, and what the
 * requests were. One row at least, so that the fence is always told. Read by `#settleGroup` in
 * changes.ts.
 */
function outcomeRows({
  made = 'false',
  retrying = 'false',
  bytes = '0',
  partner = "''::bytea",
  generation = '0',
}: OutcomeColumns): string {
  return `SELECT ${IS_FENCED}, array_agg(t.n), t.service, t.owner, t.kind, t.partner, t.generation, t.state,
    t.retried, t.wins, t.made, t.retrying, sum(t.stored_bytes)::int8, sum(t.reply_bytes)::int8, sum(t.added)::int8
  FROM (VALUES (1)) one LEFT JOIN (
    SELECT s.n, s.service, s.owner, s.kind, ${partner} AS partner,
      (${generation})::int8 AS generation, s.state,
      s.state = ${PENDING} AND s.attempts > 0 AS retried,
      s.wins, (${made}) IS TRUE AS made, ${retrying} AS retrying,
      s.body_bytes + s.extra_bytes AS stored_bytes, s.reply_bytes, ${bytes} AS added
    FROM existing s
  ) t ON true
  GROUP BY t.service, t.owner, t.kind, t.partner, t.generation, t.state, t.retried, t.wins, t.made, t.retrying`;
}

/** What was found, as one row for each change: its facts, whether it was a step up, and the whole record as it was. */
const WHOLE_ROWS = `SELECT ${IS_FENCED}, s.n, ${facts('s')}, s.wins, ${allColumns('r')}
  FROM (VALUES (1)) one LEFT JOIN existing s ON true LEFT JOIN ${REQUEST} r ON ${byIndex('r.id', 's.id')}`;

interface OutcomeColumns {
  /** Whether a request that the change does not step up is as it would make it. */
  readonly made?: string;
  /** Whether it then waits for another attempt. */
  readonly retrying?: string;
  /** The bytes of what it then has besides its body. */
  readonly bytes?: string;
  /** The column of the partner, where the result tells of it; absent: none is told. */
  readonly partner?: string;
  /** The column of the generation, where the result tells of it; absent: 0. */
  readonly generation?: string;
}

/** What a new request is given with; its number and its state are those of every new one. */
export const NEW_NUMBERS: readonly RequestField[] = NUMBERS.filter(
  ({ name }) => name !== 'number' && name !== 'state',
);
export const NEW_OTHERS: readonly RequestField[] = OTHERS.filter(({ name }) => name !== 'uuid');

const NUMBER_TYPES: Readonly<Record<string, NumberType>> = {
  flag: 'bool',
  priority: 'int4',
  recordKind: 'int4',
};

/** The columns of a new request, which are those of the table, too, in the order of `#newRequests`. */
const NEW_COLUMNS: readonly Column[] = [
  ...NEW_NUMBERS.map((field): Column => [columnOf(field), NUMBER_TYPES[field.kind] ?? 'int8']),
  ...NEW_OTHERS.map((field): Column => [columnOf(field), 'bytea']),
  ['key', 'bytea'],
  ['extra', 'bytea'],
];
const ACCEPTED: readonly Column[] = [
  ...NEW_COLUMNS,
  ['once', 'bool'],
  ['claimed', 'bool'],
  ['keeps_keys', 'bool'],
  ['frames', 'bytea'],
  ['key_extra', 'bytea'],
];

const NEW_NAMES = NEW_COLUMNS.map(([name]) => name);
const NEW_REQUEST = `INSERT INTO ${REQUEST} (id, seq, state, attempts_ever, reply_bytes, session, claim,
      delayed, ${NEW_NAMES.join(', ')})
    SELECT f.id, ${NOW_US} + f.n, ${PENDING}, 0, 0, CASE WHEN f.claimed THEN ${MINE} END,
      CASE WHEN f.claimed THEN ${FIRST_CLAIM} ELSE 0 END, f.not_before > ${NOW_MS},
      ${NEW_NAMES.map((name) => `f.${name}`).join(', ')}`;
const NEW_BODY = `INSERT INTO ${BODY} (id, kind, frames) SELECT f.id, ${REQUEST_BODY}, f.frames`;

/** What belongs to the state that the requests of `won` have had. */
const BODY_OF_STATE = `${byIndex('b.id', 'w.id')} AND ${byIndex('b.kind', 'w.was')}`;

/** See `keyBytes`, of keys that are not once-keys. */
export function keySize(of: string): string {
  return `${KEY_BYTES} + ${KEY_COPIES} * (length(${of}.service) + length(${of}.key))`;
}

/** The row of `key` that belongs to a request. */
function keyOf(of: string): string {
  return ['service', 'key', 'owner']
    .map((name) => byIndex(`k.${name}`, `${of}.${name}`))
    .join(' AND ');
}

/** What belongs to the state that the requests of `won` leave. */
const UNSETTLED = `unsettled AS (
    DELETE FROM ${BODY} b USING won w WHERE w.was > ${PENDING} AND ${BODY_OF_STATE}
  )`;

/** Deletes the requests of `gone`, which has `keep_until` for their keys. */
const ENDED = `ended AS (DELETE FROM ${REQUEST} r USING gone g WHERE ${byIndex('r.id', 'g.id')}),
  unbodied AS (DELETE FROM ${BODY} b USING gone g WHERE ${byIndex('b.id', 'g.id')}),
  untried AS (
    DELETE FROM ${ATTEMPT} a USING gone g WHERE g.attempts_ever > 0 AND ${byIndex('a.id', 'g.id')}
  ),
  remembered AS (
    UPDATE ${KEY} k SET until = g.keep_until FROM gone g
    WHERE g.key IS NOT NULL AND ${keyOf('g')} AND k.id = g.id AND NOT k.once
  ),
  forgotten AS (
    DELETE FROM ${KEY} k USING gone g
    WHERE g.key IS NOT NULL AND ${keyOf('g')} AND k.id = g.id AND k.once
  )`;

/** D71: by its owner, by anybody if it is shared or anonymous, and by the broker itself. */
const IS_OPEN = `(s.new_closer = ''::bytea OR s.new_closer = s.owner OR s.shared
      OR s.owner = 'anonymous'::bytea)`;

export interface Statement {
  readonly name: string;
  readonly text: string;
}

/**
 * New requests without a key: nearly all. If one of them is there, the server refuses all with a
 * unique violation, and `ACCEPT_MISSING` is sent instead, which looks for each before it adds it.
 */
export const ACCEPT: Statement = {
  name: 'accept',
  text: `WITH ${FENCE}, ${input([...OF_CHANGE, ...ACCEPTED])},
  added AS (${NEW_REQUEST} FROM input f, fence),
  bodies AS (${NEW_BODY} FROM input f, fence)
  SELECT ${IS_FENCED}, NULL::int4`,
};

/** Adds new requests that are not there. Returns for each whether it was added. */
export const ACCEPT_MISSING: Statement = {
  name: 'accept_missing',
  text: `WITH ${FENCE}, ${input([...OF_CHANGE, ...ACCEPTED])},
  added AS (
    ${NEW_REQUEST} FROM input f, fence ORDER BY f.id
    ON CONFLICT (id) DO NOTHING RETURNING id
  ),
  bodies AS (${NEW_BODY} FROM input f, fence ORDER BY f.id ON CONFLICT (id, kind) DO NOTHING)
  SELECT ${IS_FENCED}, i.n, i.id IN (SELECT a.id FROM added a) FROM input i`,
};

/**
 * New requests with a key (D16), or in a higher generation. Returns for each whether it was added,
 * whom its key leads to, or, for one that was there, its facts and whether it was raised; whether
 * its key was there; and what is kept with a key that leads elsewhere, and the state of that request. A row with
 * none of these lost its key to another writer a moment ago: sent again, it learns to whom.
 */
export const ACCEPT_KEYED: Statement = {
  name: 'accept_keyed',
  text: `${found(ACCEPTED, IS_RAISED)},
  raised AS (
    UPDATE ${REQUEST} r SET state = ${PENDING}, generation = w.new_generation,
      attempts = w.new_attempts, not_before = w.new_not_before, expires_at = w.new_expires_at,
      reply_bytes = 0, session = NULL, delayed = w.new_not_before > ${NOW_MS}
    FROM won w WHERE ${byIndex('r.id', 'w.id')}
  ),
  ${UNSETTLED},
  known AS MATERIALIZED (
    SELECT i.n, k.id, k.extra AS kept, r.state AS state_of
    FROM input i JOIN ${KEY} k ON ${byIndex('k.service', 'i.service')}
      AND ${byIndex('k.key', 'i.key')} AND ${byIndex('k.owner', 'i.owner')}
      AND (k.until IS NULL OR k.until > i.accepted_at OR i.keeps_keys)
      LEFT JOIN ${REQUEST} r ON ${byIndex('r.id', 'k.id')}
    WHERE i.key IS NOT NULL AND i.n NOT IN (SELECT s.n FROM existing s)
  ),
  fresh AS MATERIALIZED (
    SELECT i.* FROM input i, fence
    WHERE i.n NOT IN (SELECT s.n FROM existing s) AND i.n NOT IN (SELECT k.n FROM known k)
  ),
  taken AS (
    INSERT INTO ${KEY} AS k (service, key, owner, id, once, taken_at, until, extra)
    SELECT f.service, f.key, f.owner, f.id, f.once, f.accepted_at, NULL::bigint, f.key_extra
    FROM fresh f WHERE f.key IS NOT NULL ORDER BY f.service, f.key, f.owner
    ON CONFLICT (service, key, owner) DO UPDATE SET id = excluded.id, once = excluded.once,
      taken_at = excluded.taken_at, until = NULL, extra = excluded.extra
      WHERE k.until <= excluded.taken_at
    RETURNING id
  ),
  free AS MATERIALIZED (
    SELECT f.* FROM fresh f WHERE f.key IS NULL OR f.id IN (SELECT t.id FROM taken t)
  ),
  added AS (
    ${NEW_REQUEST} FROM free f ORDER BY f.id ON CONFLICT (id) DO NOTHING RETURNING id
  ),
  bodies AS (${NEW_BODY} FROM free f ORDER BY f.id ON CONFLICT (id, kind) DO NOTHING)
  SELECT ${IS_FENCED}, s.n, NULL::uuid, false, s.n, ${facts('s')}, s.wins, false, NULL::bytea, NULL::int4
    FROM (VALUES (1)) one LEFT JOIN existing s ON true
  UNION ALL SELECT ${IS_FENCED}, k.n, k.id, false, NULL, ${NO_FACTS}, NULL, false, k.kept, k.state_of
    FROM known k
  UNION ALL SELECT ${IS_FENCED}, f.n, NULL, f.id IN (SELECT a.id FROM added a), NULL, ${NO_FACTS}, NULL,
      EXISTS (SELECT 1 FROM ${KEY} k WHERE ${keyOf('f')}), NULL, NULL
    FROM fresh f`,
};

/** The columns of an attempt, in the order of `attemptNumbers` and `attemptArrays` in changes.ts. */
const ATTEMPT_NUMBERS: readonly Column[] = [
  ['started_at', 'int8'],
  ['ended_at', 'int8'],
];
const ATTEMPT_ARRAYS: readonly Column[] = [
  ['worker', 'bytea'],
  ['reason', 'bytea'],
  ['failure', 'bytea'],
  ['extra', 'bytea'],
];

/** Adds to the histories of the requests of `won`, and forgets what is too old in them. */
const REPORTED = `reported AS (
    INSERT INTO ${ATTEMPT} (id, n, worker, started_at, ended_at, reason, failure, extra)
    SELECT w.id, w.attempts_ever + 1, w.new_worker, w.new_started_at, w.new_ended_at, w.new_reason,
      w.new_failure, w.new_extra
    FROM won w ORDER BY w.id ON CONFLICT (id, n) DO NOTHING
  ),
  forgotten AS (
    DELETE FROM ${ATTEMPT} a USING won w
    WHERE w.attempts_ever >= ${ATTEMPTS_RETAINED} AND ${byIndex('a.id', 'w.id')}
      AND ${byIndex('a.n', `w.attempts_ever + 1 - ${ATTEMPTS_RETAINED}`)}
  )`;

export const ATTEMPTED: Statement = {
  name: 'attempt',
  text: `${found(
    [
      ['generation', 'int8'],
      ['attempts', 'int8'],
      ['not_before', 'int8'],
      ...ATTEMPT_NUMBERS,
      ['keeps', 'bool'],
      ...ATTEMPT_ARRAYS,
      ['claim', 'int4[]'],
    ],
    IS_ABOVE,
  )},
  tried AS (
    UPDATE ${REQUEST} r SET state = ${PENDING}, generation = w.new_generation,
      attempts = w.new_attempts, attempts_ever = w.attempts_ever + 1, not_before = w.new_not_before,
      reply_bytes = 0, session = CASE WHEN w.new_keeps THEN r.session END,
      delayed = w.new_not_before > ${NOW_MS}
    FROM won w WHERE ${byIndex('r.id', 'w.id')}
  ),
  ${UNSETTLED},
  ${REPORTED}
  ${outcomeRows({ made: `${IS_SAME} AND s.new_attempts = s.attempts`, retrying: 's.new_attempts > 0' })}`,
};

export const ADVANCE: Statement = {
  name: 'advance',
  text: `${found(
    [
      ...['generation', 'attempts', 'not_before', 'expires_at', 'outcome', 'outcome_at'].map(
        (name): Column => [name, 'int8'],
      ),
      ['keeps', 'bool'],
      ['claim', 'int4[]'],
      ['partner_claim', 'int4[]'],
    ],
    `${IS_ABOVE} AND ${IS_OF_PARTNER_CLAIM}`,
  )},
  advanced AS (
    UPDATE ${REQUEST} r SET state = ${PENDING}, generation = w.new_generation,
      attempts = w.new_attempts, not_before = w.new_not_before,
      expires_at = CASE WHEN w.new_expires_at > 0 THEN w.new_expires_at ELSE r.expires_at END,
      outcome = w.new_outcome, outcome_at = w.new_outcome_at, reply_bytes = 0, session = CASE WHEN w.new_keeps THEN r.session END,
      delayed = w.new_not_before > ${NOW_MS}
    FROM won w WHERE ${byIndex('r.id', 'w.id')}
  ),
  ${UNSETTLED}
  ${WHOLE_ROWS}`,
};

/**
 * D17: the first reply in its generation wins, also over a death.
 */
export const REPLY: Statement = {
  name: 'reply',
  text: `${found(
    [
      ['generation', 'int8'],
      ['at', 'int8'],
      ['expires_at', 'int8'],
      ['frames', 'bytea'],
      ['worker', 'bytea'],
    ],
    `${IS_RAISED} OR ${IS_SAME} AND s.state <> ${REPLIED}`,
  )},
  replied AS (
    UPDATE ${REQUEST} r SET state = ${REPLIED}, generation = w.new_generation, session = NULL,
      expires_at = w.new_expires_at, reply_bytes = length(w.new_frames)
    FROM won w WHERE ${byIndex('r.id', 'w.id')}
  ),
  undead AS (
    DELETE FROM ${BODY} b USING won w
    WHERE w.was = ${DEAD} AND ${BODY_OF_STATE}
  ),
  put AS (
    INSERT INTO ${BODY} (id, kind, frames, worker, at)
    SELECT w.id, ${REPLIED}, w.new_frames, w.new_worker, w.new_at FROM won w
    WHERE w.was <> ${REPLIED}
  ),
  replaced AS (
    UPDATE ${BODY} b SET frames = w.new_frames, worker = w.new_worker, at = w.new_at FROM won w
    WHERE w.was = ${REPLIED} AND ${BODY_OF_STATE}
  )
  ${outcomeRows({
    made: `CASE WHEN s.state = ${REPLIED} AND ${IS_SAME} THEN (
        SELECT b.frames = s.new_frames FROM ${BODY} b WHERE b.id = s.id AND b.kind = ${REPLIED}
      ) END`,
    bytes: 'length(s.new_frames)',
  })}`,
};

export const DIED: Statement = {
  name: 'dead',
  text: `${found(
    [
      ['generation', 'int8'],
      ['at', 'int8'],
      ['expires_at', 'int8'],
      ['reason', 'bytea'],
      ['claim', 'int4[]'],
    ],
    `${IS_OF_CLAIM} AND (${IS_RAISED} OR ${IS_SAME} AND s.state = ${PENDING})`,
  )},
  died AS (
    UPDATE ${REQUEST} r SET state = ${DEAD}, generation = w.new_generation, session = NULL,
      expires_at = w.new_expires_at, reply_bytes = 0
    FROM won w WHERE ${byIndex('r.id', 'w.id')}
  ),
  unreplied AS (
    DELETE FROM ${BODY} b USING won w
    WHERE w.was = ${REPLIED} AND ${BODY_OF_STATE}
  ),
  put AS (
    INSERT INTO ${BODY} (id, kind, frames, at)
    SELECT w.id, ${DEAD}, w.new_reason, w.new_at FROM won w ORDER BY w.id
    ON CONFLICT (id, kind) DO UPDATE SET frames = excluded.frames, at = excluded.at
  )
  ${outcomeRows({ made: `${IS_SAME} AND s.state = ${DEAD}` })}`,
};

export const RETRY: Statement = {
  name: 'retry',
  text: `${found(
    [['generation', 'int8'], ['expires_at', 'int8'], ...ATTEMPT_NUMBERS, ...ATTEMPT_ARRAYS],
    IS_RAISED,
  )},
  reopened AS (
    UPDATE ${REQUEST} r SET state = ${PENDING}, generation = w.new_generation, attempts = 0,
      attempts_ever = w.attempts_ever + 1, not_before = w.new_ended_at,
      expires_at = w.new_expires_at, reply_bytes = 0, session = NULL,
      delayed = w.new_ended_at > ${NOW_MS}
    FROM won w WHERE ${byIndex('r.id', 'w.id')}
  ),
  ${UNSETTLED},
  ${REPORTED}
  ${WHOLE_ROWS}`,
};

/** The generation of requests that have a webhook: of all others it would only tell like ones apart. */
const WITH_WEBHOOK = "CASE WHEN s.partner <> ''::bytea THEN s.generation ELSE 0 END";

/** A close, or an expiry. */
export const END: Statement = {
  name: 'end',
  text: `${found(
    [
      ['keep_until', 'int8'],
      ['only_unclaimed', 'bool'],
      ['closer', 'bytea'],
    ],
    `${IS_OPEN} AND (NOT s.new_only_unclaimed OR s.unclaimed OR s.state <> ${PENDING})`,
  )},
  gone AS MATERIALIZED (SELECT w.*, w.new_keep_until AS keep_until FROM won w),
  ${ENDED}
  ${outcomeRows({ partner: 's.partner', generation: WITH_WEBHOOK })}`,
};

/**
 * Parameters: session and fencing token, now, how long keys are remembered, the maximum. Returns one row for each request
 * that is over, one more than the maximum if there are more, and whether more keys are; and one for
 * each owner whose keys were forgotten, with their bytes. Requests
 * that no broker has claimed expire here, too; pending records of kinds that only a later version knows do not. The
 * key of a request that is over is forgotten by the next sweep at the earliest, also when keys live for 0 seconds.
 */
export const SWEEP: Statement = {
  name: 'sweep',
  text: `WITH ${FENCE},
  over AS MATERIALIZED (
    SELECT r.id, r.key, ${R_FACTS}, r.expires_at FROM ${REQUEST} r, fence
    WHERE r.session IS NULL AND r.expires_at <= $2::bigint
      AND (r.state > ${PENDING} OR r.kind IN (${KNOWN_KINDS}))
    ORDER BY r.expires_at, r.id LIMIT $4::bigint + 1 FOR UPDATE OF r SKIP LOCKED
  ),
  existing AS MATERIALIZED (
    SELECT o.*, row_number() OVER (ORDER BY o.expires_at, o.id) AS n FROM over o
  ),
  gone AS MATERIALIZED (
    SELECT s.*, $3::bigint AS keep_until FROM existing s
    WHERE s.n <= $4::bigint AND ${unchanged('s.n <= $4::bigint')}
  ),
  ${ENDED},
  old_keys AS MATERIALIZED (
    SELECT k.service, k.key, k.owner FROM ${KEY} k, fence WHERE k.until <= $2::bigint
    ORDER BY k.until, k.service, k.key, k.owner LIMIT $4::bigint + 1 FOR UPDATE OF k SKIP LOCKED
  ),
  numbered_keys AS MATERIALIZED (
    SELECT o.*, row_number() OVER () AS n FROM old_keys o
  ),
  dropped AS (
    DELETE FROM ${KEY} k USING numbered_keys o
    WHERE o.n <= $4::bigint AND ${keyOf('o')}
    RETURNING k.owner, ${keySize('k')} AS bytes
  )
  SELECT ${IS_FENCED}, s.n, ${facts('s')}, (SELECT count(*) FROM old_keys) > $4::bigint,
    NULL::bytea AS key_owner, NULL::bigint AS key_bytes
  FROM (VALUES (1)) one LEFT JOIN existing s ON true
  UNION ALL SELECT ${IS_FENCED}, NULL, ${NO_FACTS}, (SELECT count(*) FROM old_keys) > $4::bigint,
    d.owner, sum(d.bytes)::bigint FROM dropped d GROUP BY d.owner
  ORDER BY 2`,
};

/** Whether any request of the service of `i` that may be claimed is of a group. */
const HAS_GROUPS = `(
      SELECT g.seq FROM ${REQUEST} g
      WHERE g.service = i.service AND ${isGrouped('g.own')} = 1 AND ${IS_TURN}
      ORDER BY g.priority DESC, g.own, g.seq LIMIT 1
    ) IS NOT NULL`;

/**
 * Claims the requests of `picked`, and returns them, with their bodies unless they are large.
 * @param order of the rows
 * @param returned columns of `picked`, with a comma before each
 * @param told a column of its own in each row
 */
function claimedRows(order: string, returned: string, told: string): string {
  return `claimed AS (
    UPDATE ${REQUEST} r SET session = ${MINE}, claim = greatest(r.claim, ${FIRST_CLAIM}) + 1
    FROM picked p
    WHERE ${byIndex('r.id', 'p.id')}
    RETURNING r.*${returned}
  )
  SELECT ${IS_FENCED}, ${told}, ${pendingColumns('c')},
    CASE WHEN c.body_bytes <= ${CLAIMED_BODY_MAX} THEN
      (SELECT b.frames FROM ${BODY} b WHERE b.id = c.id AND b.kind = ${REQUEST_BODY}) END,
    c.extra
  FROM (VALUES (1)) one LEFT JOIN claimed c ON true
  ORDER BY ${order}`;
}

/**
 * Parameters: session and fencing token, services, how many of each at most, and whether schedules are meant (1) or
 * requests. What other brokers are just claiming is left to them. Returns the records in the order of their dispatch,
 * and with each the places of the services that have requests of groups, of which nothing is claimed: see
 * `CLAIM_TURNS`.
 */
export const CLAIM: Statement = {
  name: 'claim',
  text: `WITH ${FENCE},
  input AS MATERIALIZED (
    SELECT i.*, ${HAS_GROUPS} AS has_groups
    FROM unnest($2::bytea[], $3::int8[], $4::int4[]) WITH ORDINALITY AS i (service, most, schedules, place)
  ),
  picked AS MATERIALIZED (
    SELECT p.id FROM input i, fence, LATERAL (
      SELECT r.id FROM ${REQUEST} r WHERE r.service = i.service AND ${IS_CLAIMABLE}
        AND (r.kind = ${SCHEDULE}) = (i.schedules = 1)
      ORDER BY r.priority DESC, r.seq LIMIT i.most FOR UPDATE OF r SKIP LOCKED
    ) p
    WHERE NOT i.has_groups
  ),
  ${claimedRows(
    'c.priority DESC, c.seq',
    '',
    '(SELECT array_agg(i.place::int4) FROM input i WHERE i.has_groups)',
  )}`,
};

/**
 * Columns of claimable requests of the service of `i`, of groups (1) or of none (0), in the order of the index that has
 * them by group, which no other index gives.
 */
function byGroup(columns: string, ofGroups: string, condition: string): string {
  return `SELECT ${columns} FROM ${REQUEST} r
          WHERE r.service = i.service AND ${isGrouped('r.own')} = ${ofGroups} AND ${IS_TURN} AND ${condition}
          ORDER BY r.priority DESC, r.own, r.seq`;
}

function highest(condition: string): string {
  const [alone, inGroups] = ['0', '1'].map((of) => byGroup('r.priority', of, condition));
  return `greatest((${alone} LIMIT 1), (${inGroups} LIMIT 1))`;
}

/**
 * The groups of the service of `i` at the priority of `l`, in the order of their turns: those behind the last one that
 * had a turn, then from the first one on. Those without a group are one together.
 */
const GROUPS = `
      WITH RECURSIVE g(own, again, turn) AS (
        SELECT i.after, false, 0
        UNION ALL SELECT x.own, x.again, g.turn + 1 FROM g, LATERAL (
          SELECT * FROM (
            (${byGroup('r.own, false AS again', '1', 'r.priority = l.priority AND r.own > g.own AND NOT g.again')}
              LIMIT 1)
            UNION ALL
            (${byGroup('r.own, true', '0', 'r.priority = l.priority AND NOT g.again')} LIMIT 1)
            UNION ALL
            (${byGroup(
              'r.own, true',
              '1',
              `r.priority = l.priority AND r.own <= i.after
                AND r.own > CASE WHEN g.again THEN g.own ELSE ''::bytea END`,
            )} LIMIT 1)
          ) u LIMIT 1
        ) x
      )
      SELECT g.own, g.turn FROM g
      WHERE g.turn > 0 AND (i.place, g.own) NOT IN (SELECT h.place, h.own FROM held h)`;

/**
 * Groups take turns (D118). Parameters: session and fencing token, services, how many of each at most, how many of
 * each group (0: any number), what requests of the group have of their own that had the last turn; then places of
 * services, and what requests of groups of these have that are not claimed. Claims only requests of
 * the highest priority of which there are some, so fewer than at most do not say that there are no more.
 * Returns them in the order of their turns.
 */
export const CLAIM_TURNS: Statement = {
  name: 'claim_turns',
  text: `WITH ${FENCE},
  input AS MATERIALIZED (
    SELECT * FROM unnest($2::bytea[], $3::int8[], $4::int8[], $5::bytea[])
      WITH ORDINALITY AS t (service, most, each, after, place)
  ),
  held AS MATERIALIZED (SELECT * FROM unnest($6::int8[], $7::bytea[]) AS t (place, own)),
  level AS MATERIALIZED (
    SELECT i.*, l.priority FROM input i, fence, LATERAL (
      WITH RECURSIVE l(priority) AS (
        SELECT ${highest('true')}
        UNION ALL SELECT ${highest('r.priority < l.priority')} FROM l WHERE l.priority IS NOT NULL
      )
      SELECT l.priority FROM l WHERE l.priority IS NOT NULL AND EXISTS (${GROUPS}) LIMIT 1
    ) l
  ),
  turn AS MATERIALIZED (
    SELECT l.*, t.own, t.turn, count(*) OVER (PARTITION BY l.place) AS groups
    FROM level l, LATERAL (SELECT t.* FROM (SELECT l.*) i, LATERAL (${GROUPS}) t LIMIT l.most) t
  ),
  found AS MATERIALIZED (
    SELECT f.id, i.place, i.most, i.turn,
      row_number() OVER (PARTITION BY i.place, i.turn ORDER BY f.seq) AS round
    FROM turn i, LATERAL (
      ${byGroup('r.id, r.seq', isGrouped('i.own'), 'r.priority = i.priority AND r.own >= i.own AND r.own <= i.own')}
      LIMIT CASE WHEN i.each > 0 THEN i.each ELSE ceil(i.most::float8 / i.groups)::int8 END
      FOR UPDATE OF r SKIP LOCKED
    ) f
  ),
  picked AS MATERIALIZED (
    SELECT * FROM (
      SELECT f.*, row_number() OVER (PARTITION BY f.place ORDER BY f.round, f.turn) AS n FROM found f
    ) f WHERE f.n <= f.most
  ),
  ${claimedRows('c.place, c.n', ', p.place, p.n', 'NULL::int4[]')}`,
};

/**
 * Parameters: session and fencing token, uuids, claims. Gives back what was claimed without its broker learning of it. What it
 * claimed by accepting it is told with its batch. Returns what was not given back, because another session
 * has it locked, with its claim.
 */
export const FREE_UNKNOWN: Statement = {
  name: 'free_unknown',
  text: `WITH ${FENCE},
  unknown AS MATERIALIZED (
    SELECT r.id, r.claim FROM ${REQUEST} r, fence
    WHERE r.session = ${MINE} AND r.claim > ${FIRST_CLAIM}
      AND (r.id, r.claim) NOT IN (SELECT * FROM unnest($2::uuid[], $3::int4[]))
  ),
  locked AS MATERIALIZED (
    SELECT r.id FROM unknown u JOIN ${REQUEST} r ON ${byIndex('r.id', 'u.id')}
    WHERE r.session = ${MINE} FOR UPDATE OF r SKIP LOCKED
  ),
  freed AS (UPDATE ${REQUEST} r SET session = NULL FROM locked l WHERE ${byIndex('r.id', 'l.id')})
  SELECT ${IS_FENCED}, u.id, u.claim FROM (VALUES (1)) one
  LEFT JOIN unknown u ON u.id NOT IN (SELECT l.id FROM locked l)`,
};

/** What waits for its time, and whose time has come, may be claimed. Parameter: the maximum. */
export const WAKE: Statement = {
  name: 'wake',
  text: `WITH due AS MATERIALIZED (
    SELECT r.id FROM ${REQUEST} r WHERE ${IS_DELAYED} AND r.not_before <= ${NOW_MS}
    ORDER BY r.not_before LIMIT $1::bigint FOR UPDATE OF r SKIP LOCKED
  )
  UPDATE ${REQUEST} r SET delayed = false FROM due d WHERE ${byIndex('r.id', 'd.id')}`,
};

/**
 * Claims that this broker gives back without an attempt. Returns those that were not given back, because
 * another session has the request locked.
 */
export const RELEASE: Statement = {
  name: 'release',
  text: `WITH ${FENCE}, ${input([...OF_CHANGE, ['claim', 'int4[]']])},
  mine AS MATERIALIZED (
    SELECT r.id, r.claim FROM input i JOIN ${REQUEST} r ON ${byIndex('r.id', 'i.id')}, fence
    WHERE r.state = ${PENDING} AND r.session = ${MINE} AND r.claim = i.claim
  ),
  locked AS MATERIALIZED (
    SELECT r.id FROM mine m JOIN ${REQUEST} r ON ${byIndex('r.id', 'm.id')}
    WHERE r.state = ${PENDING} AND r.session = ${MINE} AND r.claim = m.claim
    FOR UPDATE OF r SKIP LOCKED
  ),
  released AS (UPDATE ${REQUEST} r SET session = NULL FROM locked l WHERE ${byIndex('r.id', 'l.id')})
  SELECT ${IS_FENCED}, m.id, m.claim FROM (VALUES (1)) one
  LEFT JOIN mine m ON m.id NOT IN (SELECT l.id FROM locked l)`,
};

/**
 * The first statement of a transaction of several: each of the others would lock its own requests in the
 * order of their ids, but not after those of the statement before it. Parameters: session and fencing token, uuids.
 */
export const LOCK: Statement = {
  name: 'lock',
  text: `WITH ${FENCE} SELECT count(*) FROM (
    SELECT r.id FROM ${REQUEST} r, fence WHERE r.id = ANY ($2::uuid[]) ORDER BY r.id FOR UPDATE OF r
  ) locked`,
};
