/** Records, put into the tables of a database: one statement for each table. */
import { present } from '../../core/assert.js';
import { isOnceKey } from '../../wire/tsp.js';
import type { KeyRecord, RequestRecord } from '../../store/record-codec.js';
import { type Attempt, type RequestUuid, STATES } from '../../store/store.js';
import type { Connection } from './connection.js';
import { DEAD, PENDING, REPLIED, REQUEST_BODY, SCHEMA } from './schema.js';
import { NOW_MS, type Statement } from './statements.js';
import { bools, byteas, int4s, int8s, texts, uuids } from './values.js';

/** A column, and the array of its values. */
interface Column<Row> {
  readonly name: string;
  readonly type: string;
  readonly pack: (rows: readonly Row[]) => Buffer;
}

function columns<Item>(type: string, pack: (items: readonly Item[]) => Buffer) {
  return <Row>(name: string, of: (row: Row) => Item): Column<Row> => {
    return { name, type, pack: (rows) => pack(rows.map(of)) };
  };
}

const uuid = columns('uuid', uuids);
const int4 = columns('int4', int4s);
const int8 = columns('int8', int8s);
const bool = columns('bool', bools);
const bytea = columns('bytea', byteas);
const text = columns('bytea', texts);

interface Table<Row> {
  readonly insert: Statement;
  readonly columns: readonly Column<Row>[];
}

/**
 * @param computed a further column, and the expression for it
 * @param end of the statement
 */
function table<Row>(
  name: string,
  all: readonly Column<Row>[],
  computed: readonly [name: string, expression: string] | null = null,
  end = '',
): Table<Row> {
  const names = all.map((each) => each.name).join(', ');
  const arrays = all.map(({ type }, at) => `$${at + 1}::${type}[]`).join(', ');
  const [also, value] = computed?.map((each) => `, ${each}`) ?? ['', ''];
  const insert = `INSERT INTO ${SCHEMA}.${name} (${names}${also})
    SELECT t.*${value} FROM unnest(${arrays}) AS t (${names}) ${end}`;
  return { insert: { name: `copy_${name}`, text: insert }, columns: all };
}

const REQUESTS = table<RequestRecord>(
  'request',
  [
    uuid('id', ({ request }) => request.uuid),
    int8('seq', ({ request }) => request.number),
    bytea('service', ({ request }) => request.service),
    text('owner', ({ request }) => request.owner),
    bool('shared', ({ request }) => request.isShared),
    int4('priority', ({ request }) => request.priority),
    int4('state', ({ request }) => PENDING + STATES.indexOf(request.state)),
    int8('generation', ({ request }) => request.generation),
    int8('attempts', ({ request }) => request.attempts),
    int8('attempts_ever', ({ attemptsEver }) => attemptsEver),
    int8('max_attempts', ({ request }) => request.maxAttempts),
    int8('accepted_at', ({ request }) => request.acceptedAt),
    int8('not_before', ({ request }) => request.notBefore),
    int8('expires_at', ({ request }) => request.expiresAt),
    int8('body_bytes', ({ request }) => request.bodyBytes),
    int8('reply_bytes', ({ reply }) => reply?.reply.length ?? 0),
    bytea('key', ({ key }) => key),
    bytea('extra', ({ extra }) => extra),
  ],
  // What is to wait is not claimed before its time.
  ['delayed', `t.state = ${PENDING} AND t.not_before > ${NOW_MS}`],
);

/** A body, a reply, or the reason of a death, which no worker gave. */
interface Content {
  readonly id: RequestUuid;
  readonly kind: number;
  readonly frames: Buffer;
  readonly worker: string | null;
  readonly at: number | null;
}

const CONTENTS = table<Content>('body', [
  uuid('id', ({ id }) => id),
  int4('kind', ({ kind }) => kind),
  bytea('frames', ({ frames }) => frames),
  bytea('worker', ({ worker }) => (worker === null ? null : Buffer.from(worker))),
  int8('at', ({ at }) => at),
]);

function contentsOf({ request: { uuid: id }, body, reply, death }: RequestRecord): Content[] {
  const none = { worker: null, at: null };
  const contents: Content[] = [
    { id, kind: REQUEST_BODY, frames: present(body, 'a body'), ...none },
  ];
  if (reply !== null) contents.push({ id, kind: REPLIED, frames: reply.reply, ...reply });
  if (death !== null) {
    const frames = Buffer.from(death.reason);
    contents.push({ id, kind: DEAD, frames, worker: null, at: death.at });
  }
  return contents;
}

type AttemptOf = Attempt & { readonly id: RequestUuid; readonly n: number };

const ATTEMPTS = table<AttemptOf>('attempt', [
  uuid('id', ({ id }) => id),
  int8('n', ({ n }) => n),
  text('worker', ({ worker }) => worker),
  int8('started_at', ({ startedAt }) => startedAt),
  int8('ended_at', ({ endedAt }) => endedAt),
  text('reason', ({ reason }) => reason),
  bytea('failure', ({ failure }) => failure),
  bytea('extra', ({ extra }) => extra),
]);

function attemptsOf({ request, attempts, attemptsEver }: RequestRecord): AttemptOf[] {
  const before = attemptsEver - attempts.length;
  return attempts.map((each, place) => ({ ...each, id: request.uuid, n: before + place + 1 }));
}

interface Key extends Omit<KeyRecord, 'kind' | 'until'> {
  readonly takenAt: number;
  readonly until: number | null;
}

// Keys whose requests have ended are put again when the copying goes on after an interruption.
const KEYS = table<Key>(
  'key',
  [
    bytea('service', ({ service }) => service),
    bytea('key', ({ key }) => key),
    text('owner', ({ owner }) => owner),
    uuid('id', (key) => key.uuid),
    bool('once', ({ key }) => isOnceKey(key)),
    int8('taken_at', ({ takenAt }) => takenAt),
    int8('until', ({ until }) => until),
    bytea('extra', ({ extra }) => extra),
  ],
  null,
  'ON CONFLICT DO NOTHING',
);

function keysOf(record: RequestRecord | KeyRecord): Key[] {
  if (record.kind === 'key') return [{ ...record, takenAt: 0 }];
  const { key, request } = record;
  if (key === null) return [];
  const { service, owner, uuid: id, acceptedAt } = request;
  return [{ service, key, owner, uuid: id, takenAt: acceptedAt, until: null, extra: null }];
}

export async function putRecords(
  connection: Connection,
  records: readonly (RequestRecord | KeyRecord)[],
): Promise<void> {
  const requests = records.filter((record) => record.kind === 'request');
  // All before anything is sent: a damaged row may not be what its columns say.
  const insertions = [
    insertion(REQUESTS, requests),
    insertion(CONTENTS, requests.flatMap(contentsOf)),
    insertion(ATTEMPTS, requests.flatMap(attemptsOf)),
    insertion(KEYS, records.flatMap(keysOf)),
  ];
  await Promise.all(insertions.map((send) => send(connection)));
}

function insertion<Row>(
  { insert, columns: all }: Table<Row>,
  rows: readonly Row[],
): (connection: Connection) => Promise<unknown> {
  const values = all.map(({ pack }) => pack(rows));
  return async (connection) => rows.length === 0 || (await connection.run(insert, values));
}
