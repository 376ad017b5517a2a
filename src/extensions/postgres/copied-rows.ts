/** Rows of a store file, put into the tables of a database: one statement for each table. */
import { isOnceKey } from '../../wire/tsp.js';
import type { SourceKey, SourceRequest } from '../../store/sqlite/file/source-file.js';
import type { Connection } from './connection.js';
import { PENDING, REPLIED, REQUEST_BODY, SCHEMA } from './schema.js';
import { NOW_MS, type Statement } from './statements.js';
import { bools, byteas, int4s, int8s, texts, uuids } from './values.js';

type Column = readonly [name: string, type: 'uuid' | 'int4' | 'int8' | 'bytea' | 'bool'];

/** @param computed columns, and the expressions for them */
function insertion(
  table: string,
  columns: readonly Column[],
  computed: Readonly<Record<string, string>> = {},
): Statement {
  const names = columns.map(([name]) => name).join(', ');
  const arrays = columns.map(([, type], at) => `$${at + 1}::${type}[]`).join(', ');
  const all = [names, ...Object.keys(computed)].join(', ');
  const values = ['t.*', ...Object.values(computed)].join(', ');
  const text = `INSERT INTO ${SCHEMA}.${table} (${all}) SELECT ${values} FROM unnest(${arrays}) AS t (${names})`;
  return { name: `copy_${table}`, text };
}

const REQUESTS = insertion(
  'request',
  [
    ['id', 'uuid'],
    ['seq', 'int8'],
    ['service', 'bytea'],
    ['owner', 'bytea'],
    ['shared', 'bool'],
    ['priority', 'int4'],
    ['state', 'int4'],
    ['generation', 'int8'],
    ['attempts', 'int8'],
    ['attempts_ever', 'int8'],
    ['max_attempts', 'int8'],
    ['accepted_at', 'int8'],
    ['not_before', 'int8'],
    ['expires_at', 'int8'],
    ['body_bytes', 'int8'],
    ['reply_bytes', 'int8'],
    ['key', 'bytea'],
    ['extra', 'bytea'],
  ],
  // What is to wait is not claimed before its time.
  { delayed: `t.state = ${PENDING} AND t.not_before > ${NOW_MS}` },
);

const BODIES = insertion('body', [
  ['id', 'uuid'],
  ['kind', 'int4'],
  ['frames', 'bytea'],
  ['worker', 'bytea'],
  ['at', 'int8'],
]);

const ATTEMPTS = insertion('attempt', [
  ['id', 'uuid'],
  ['n', 'int8'],
  ['worker', 'bytea'],
  ['started_at', 'int8'],
  ['ended_at', 'int8'],
  ['reason', 'bytea'],
  ['failure', 'bytea'],
  ['extra', 'bytea'],
]);

const KEYS = insertion('key', [
  ['service', 'bytea'],
  ['key', 'bytea'],
  ['owner', 'bytea'],
  ['id', 'uuid'],
  ['once', 'bool'],
  ['taken_at', 'int8'],
  ['until', 'int8'],
  ['extra', 'bytea'],
]);

export async function putRequests(
  connection: Connection,
  rows: readonly SourceRequest[],
): Promise<void> {
  const ends = rows.flatMap(({ id, state, end }) => (end === null ? [] : [{ id, state, ...end }]));
  const tried = rows.flatMap(({ id, tried: all }) => all.map((each) => ({ id, ...each })));
  // All before anything is sent: a damaged row may not be what its columns say.
  const requests = [
    uuids(rows.map(({ id }) => id)),
    int8s(rows.map(({ number }) => number)),
    byteas(rows.map(({ service }) => service)),
    texts(rows.map(({ owner }) => owner)),
    bools(rows.map(({ isShared }) => isShared)),
    int4s(rows.map(({ priority }) => priority)),
    int4s(rows.map(({ state }) => state)),
    int8s(rows.map(({ generation }) => generation)),
    int8s(rows.map(({ attempts }) => attempts)),
    int8s(rows.map(({ attemptsEver }) => attemptsEver)),
    int8s(rows.map(({ maxAttempts }) => maxAttempts)),
    int8s(rows.map(({ acceptedAt }) => acceptedAt)),
    int8s(rows.map(({ notBefore }) => notBefore)),
    int8s(rows.map(({ expiresAt }) => expiresAt)),
    int8s(rows.map(({ bodyBytes }) => bodyBytes)),
    int8s(rows.map(({ state, end }) => (state === REPLIED ? (end?.frames.length ?? 0) : 0))),
    byteas(rows.map(({ key }) => key)),
    byteas(rows.map(({ extra }) => extra)),
  ];
  const bodies = [
    uuids([...rows, ...ends].map(({ id }) => id)),
    int4s([...rows.map(() => REQUEST_BODY), ...ends.map(({ state }) => state)]),
    byteas([...rows.map(({ body }) => body), ...ends.map(({ frames }) => frames)]),
    byteas([
      ...rows.map(() => null),
      ...ends.map(({ worker }) => (worker === null ? null : Buffer.from(worker))),
    ]),
    int8s([...rows.map(() => null), ...ends.map(({ at }) => at)]),
  ];
  const attempts = [
    uuids(tried.map(({ id }) => id)),
    int8s(tried.map(({ n }) => n)),
    texts(tried.map(({ worker }) => worker)),
    int8s(tried.map(({ startedAt }) => startedAt)),
    int8s(tried.map(({ endedAt }) => endedAt)),
    texts(tried.map(({ reason }) => reason)),
    byteas(tried.map(({ failure }) => failure)),
    byteas(tried.map(({ extra }) => extra)),
  ];
  await Promise.all([
    connection.run(REQUESTS, requests),
    connection.run(BODIES, bodies),
    tried.length === 0 ? null : connection.run(ATTEMPTS, attempts),
  ]);
}

export async function putKeys(connection: Connection, rows: readonly SourceKey[]): Promise<void> {
  await connection.run(KEYS, [
    byteas(rows.map(({ service }) => service)),
    byteas(rows.map(({ key }) => key)),
    texts(rows.map(({ owner }) => owner)),
    uuids(rows.map(({ id }) => id)),
    bools(rows.map(({ key }) => isOnceKey(key))),
    int8s(rows.map(({ takenAt }) => takenAt)),
    int8s(rows.map(({ until }) => until)),
    byteas(rows.map(({ extra }) => extra)),
  ]);
}
