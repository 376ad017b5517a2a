/** Records, put into the tables of a database: one statement for each table. */
import { present } from '../../core/assert.js';
import { isOnceKey } from '../../wire/tsp.js';
import type { KeyRecord, RequestRecord } from '../../store/record-codec.js';
import type { CopiedRecord } from '../../store/sqlite/tables/changed-records.js';
import { type RequestField, REQUEST_ROWS } from '../../store/request.js';
import { cellsOf } from '../../store/rows.js';
import type { Connection } from './connection.js';
import { DEAD, PENDING, REPLIED, REQUEST_BODY, SCHEMA } from './schema.js';
import { columnOf, NOW_MS } from './statements.js';
import { bools, byteas, int4s, int8s, texts, uuids } from './values.js';

/** The values of one column. */
interface Column {
  readonly type: string;
  readonly packed: Buffer;
}

type Columns = Readonly<Record<string, Column>>;

/** See `cellsOf`. */
type Cell = ReturnType<typeof cellsOf>[number] | undefined;

function column<Item>(type: string, pack: (items: readonly Item[]) => Buffer) {
  return <Row>(rows: readonly Row[], of: (row: Row) => Item): Column => {
    return { type, packed: pack(rows.map(of)) };
  };
}

const uuid = column('uuid', uuids);
const int4 = column('int4', int4s);
const int8 = column('int8', int8s);
const bool = column('bool', bools);
const bytea = column('bytea', byteas);
const text = column('bytea', texts);

/** What is to wait is not claimed before its time. */
const DELAYED = `t.state = ${PENDING} AND t.not_before > ${NOW_MS}`;

export async function putRecords(
  connection: Connection,
  records: readonly CopiedRecord[],
): Promise<void> {
  const requests = records.filter((record) => record.kind === 'request');
  // All before anything is sent: a damaged row may not be what its columns say.
  const [ofRequests, ofBodies] = [requestColumns(requests), bodyColumns(requests)];
  const [ofAttempts, ofKeys] = [attemptColumns(requests), keyColumns(records)];
  await Promise.all([
    insert(connection, 'request', ofRequests, ['delayed', DELAYED]),
    insert(connection, 'body', ofBodies),
    insert(connection, 'attempt', ofAttempts),
    // Keys whose requests have ended are put again when the copying goes on after an interruption.
    insert(connection, 'key', ofKeys, null, 'ON CONFLICT DO NOTHING'),
  ]);
}

/** @param computed a further column, and the expression for it */
async function insert(
  connection: Connection,
  table: string,
  columns: Columns,
  computed: readonly [name: string, expression: string] | null = null,
  end = '',
): Promise<void> {
  const names = Object.keys(columns).join(', ');
  const all = Object.values(columns);
  const arrays = all.map(({ type }, at) => `$${at + 1}::${type}[]`).join(', ');
  const [also, value] = computed?.map((each) => `, ${each}`) ?? ['', ''];
  const statement = `INSERT INTO ${SCHEMA}.${table} (${names}${also})
    SELECT t.*${value} FROM unnest(${arrays}) AS t (${names}) ${end}`;
  const values = all.map(({ packed }) => packed);
  await connection.run({ name: `copy_${table}`, text: statement }, values);
}

/** The fields of a request, in the columns of the table of fields, and what a record has besides. */
function requestColumns(records: readonly RequestRecord[]): Columns {
  const cells = records.map(({ request }) => cellsOf(request));
  const fields = REQUEST_ROWS.map((field, at): [string, Column] => [
    columnOf(field),
    columnOfCells(
      field,
      cells.map((row) => row[at]),
    ),
  ]);
  return {
    ...Object.fromEntries(fields),
    attempts_ever: int8(records, ({ attemptsEver }) => attemptsEver),
    reply_bytes: int8(records, ({ reply }) => reply?.reply.length ?? 0),
    key: bytea(records, ({ key }) => key),
    extra: bytea(records, ({ extra }) => extra),
  };
}

function columnOfCells({ kind, as }: RequestField, cells: readonly Cell[]): Column {
  if (kind === 'uuid') return uuid(cells, (cell) => cell as Buffer);
  if (as === 'bytes') return bytea(cells, (cell) => cell as Buffer);
  if (as === 'text') return text(cells, String);
  if (kind === 'flag') return bool(cells, (cell) => cell === 1);
  if (kind === 'state') return int4(cells, (cell) => PENDING + Number(cell));
  return kind === 'priority' ? int4(cells, Number) : int8(cells, Number);
}

/** Bodies, replies, and the reasons of deaths, which no worker gave. */
function bodyColumns(records: readonly RequestRecord[]): Columns {
  const none = { worker: null, at: null };
  const rows = records.flatMap(({ request: { uuid: id }, body, reply, death }) => [
    { id, kind: REQUEST_BODY, frames: present(body, 'a body'), ...none },
    ...(reply === null ? [] : [{ ...reply, id, kind: REPLIED, frames: reply.reply }]),
    ...(death === null
      ? []
      : [{ ...none, id, kind: DEAD, frames: Buffer.from(death.reason), at: death.at }]),
  ]);
  return {
    id: uuid(rows, ({ id }) => id),
    kind: int4(rows, ({ kind }) => kind),
    frames: bytea(rows, ({ frames }) => frames),
    worker: bytea(rows, ({ worker }) => (worker === null ? null : Buffer.from(worker))),
    at: int8(rows, ({ at }) => at),
  };
}

function attemptColumns(records: readonly RequestRecord[]): Columns {
  const rows = records.flatMap(({ request: { uuid: id }, attempts, attemptsEver }) =>
    attempts.map((each, at) => ({ ...each, id, n: attemptsEver - attempts.length + at + 1 })),
  );
  return {
    id: uuid(rows, ({ id }) => id),
    n: int8(rows, ({ n }) => n),
    worker: text(rows, ({ worker }) => worker),
    started_at: int8(rows, ({ startedAt }) => startedAt),
    ended_at: int8(rows, ({ endedAt }) => endedAt),
    reason: text(rows, ({ reason }) => reason),
    failure: bytea(rows, ({ failure }) => failure),
    extra: bytea(rows, ({ extra }) => extra),
  };
}

interface Key extends Omit<KeyRecord, 'kind' | 'until'> {
  readonly takenAt: number;
  readonly until: number | null;
}

function keyColumns(records: readonly CopiedRecord[]): Columns {
  const rows = records.flatMap((record): Key[] => {
    if (record.kind === 'key') return [{ ...record, takenAt: 0 }];
    const { key, keyExtra: extra, request } = record;
    if (key === null) return [];
    return [{ ...request, key, takenAt: request.acceptedAt, until: null, extra }];
  });
  return {
    service: bytea(rows, ({ service }) => service),
    key: bytea(rows, ({ key }) => key),
    owner: text(rows, ({ owner }) => owner),
    id: uuid(rows, (row) => row.uuid),
    once: bool(rows, ({ key }) => isOnceKey(key)),
    taken_at: int8(rows, ({ takenAt }) => takenAt),
    until: int8(rows, ({ until }) => until),
    extra: bytea(rows, ({ extra }) => extra),
  };
}
