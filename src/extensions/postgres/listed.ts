/** Lists and groups of requests for display, from a database. */
import type { GroupPage } from '../../store/queries.js';
import { REQUEST_ROWS } from '../../store/request.js';
import {
  bitOf,
  GroupScan,
  listedIn,
  PageScan,
  type RowScan,
  SCAN_MS_MAX,
  SCAN_ROWS_MAX,
  type ScanQuery,
  sliceRows,
  uuidsOf,
} from '../../store/scan.js';
import {
  bytesOf,
  digitsOf,
  type Grouping,
  kindCondition,
  type ScannedRow,
  wantedBy,
} from '../../store/stored-filter.js';
import { numberOfKind } from '../../store/record-kind.js';
import type { ResultOf } from '../../store/thread/operations.js';
import { packListed } from '../../store/thread/request-messages.js';
import type { Row } from './changes.js';
import type { Connection } from './connection.js';
import { DEAD, REPLIED, SCHEMA } from './schema.js';
import { allColumns } from './statements.js';
import { uuids } from './values.js';

const ONLY_DEAD = bitOf('dead');

/** A column of the death record, or else of the last kept attempt, in SQL; NULL for a replied request. */
function latest(ofDeath: string, ofAttempt: string): string {
  return `CASE WHEN r.state <> ${REPLIED} THEN coalesce(
    (SELECT b.${ofDeath} FROM ${SCHEMA}.body b WHERE b.id = r.id AND b.kind = ${DEAD}),
    (SELECT a.${ofAttempt} FROM ${SCHEMA}.attempt a WHERE a.id = r.id ORDER BY a.n DESC LIMIT 1)) END`;
}

const REASON = latest('frames', 'reason');
/** The columns of `ListedRow`. */
export const LISTED_COLUMNS = `${allColumns('r')}, ${REASON}, ${latest('at', 'ended_at')}`;
export const LISTED_COUNT: number = REQUEST_ROWS.length + 2;

const FROM = `FROM ${SCHEMA}.request r`;
const WITHIN = 'r.id < $1::uuid AND r.id >= $2::uuid';
const NEWEST = 'ORDER BY r.id DESC';
const OF_DEAD = `r.state = ${DEAD} AND`;

/** Parameters: from, to, the offset. */
const END = `SELECT r.id ${FROM} WHERE ${WITHIN} ${NEWEST} LIMIT 1 OFFSET $3::bigint`;
const COUNT = `SELECT count(*) ${FROM} WHERE ${WITHIN}`;

/** A bit for each state. */
const IS_IN_STATE = '$3::integer >> r.state & 1 = 1';
const IS_OF_GROUP = `(length($11::bytea) = 0 OR r.own = $11::bytea AND r.kind = ${numberOfKind('request')})`;
const IS_OF_KIND = kindCondition('$10::integer', 'r.kind');
/** How the service has to match, byte by byte: nothing in a name is a wildcard. */
const ANY = 0;
const MATCHES = { exact: 1, prefix: 2, substring: 3 } as const;
const IS_SERVICE = `CASE $4::integer WHEN ${ANY} THEN TRUE
    WHEN ${MATCHES.exact} THEN r.service = $5::bytea
    WHEN ${MATCHES.prefix} THEN substr(r.service, 1, length($5::bytea)) = $5::bytea
    ELSE position($5::bytea IN r.service) > 0 END`;
/**
 * `ScannedRow`. Parameters: from, to, states, how the service has to match, its name, the maximum; 1 for
 * each of reason, fields and time of death that is wanted; the number of the kind; what requests of a group have
 * of their own.
 */
const SLICE = `SELECT r.id, r.service, CASE WHEN $7::integer = 1 THEN ${REASON} END,
    CASE WHEN $8::integer = 1 THEN r.extra END,
    CASE WHEN $9::integer = 1 THEN
      (SELECT b.at FROM ${SCHEMA}.body b WHERE b.id = r.id AND b.kind = ${DEAD}) END,
    r.not_before, r.attempts
  ${FROM} WHERE ${WITHIN} AND ${IS_IN_STATE} AND ${IS_OF_KIND} AND ${IS_OF_GROUP} AND ${IS_SERVICE}
  ${NEWEST} LIMIT $6::bigint`;
const THESE = SLICE.replace('WHERE r.id', 'WHERE r.id = ANY ($12::uuid[]) AND r.id');
const ROWS = `SELECT ${LISTED_COLUMNS} ${FROM} WHERE r.id = ANY ($1::uuid[]) ${NEWEST}`;

export async function pageOf(connection: Connection, query: ScanQuery): Promise<ResultOf<'page'>> {
  const scan = new PageScan(query);
  await examine(connection, query, null, scan);
  const listed = await connection.ask(ROWS, [uuids(scan.found.map(bytesOf))]);
  // One that has changed its state since is left out.
  const rows = listed.filter(([, , , state]) => (query.states & (2 << Number(state))) !== 0);
  const scanned = await scannedBy(connection, query, scan.next);
  return { listed: packListed(rows), ...scan.reached(scanned) };
}

export async function groupsOf(
  connection: Connection,
  query: ScanQuery,
  by: Grouping,
): Promise<GroupPage> {
  const scan = new GroupScan(query, by);
  await examine(connection, query, by, scan);
  const scanned = await scannedBy(connection, query, scan.next);
  return { groups: scan.counts.all(), ...scan.reached(scanned) };
}

/** Examines rows, newest first, until the scan needs no more or has cost enough. */
async function examine(
  connection: Connection,
  query: ScanQuery,
  by: Grouping | null,
  scan: RowScan,
): Promise<void> {
  const size = sliceRows(query);
  const until = performance.now() + SCAN_MS_MAX;
  let from: string | null = query.from;
  for (let examined = 0; from !== null && examined < SCAN_ROWS_MAX; examined += size) {
    if (examined > 0 && performance.now() >= until) return;
    const end = await endOf(connection, query, from, size);
    const limit = query.only === null ? scan.most : size;
    const values = parameters(query, by, from, end ?? query.to, limit);
    const rows = (await connection.ask(sliceOf(query), values)).map(scannedRow);
    // Of these, a slice has as many as match, not as many as there are.
    from = query.only === null || rows.length < size ? end : (rows.at(-1)?.uuid ?? null);
    if (scan.take({ rows, next: from })) return;
  }
}

/** The last row of a slice; `null`: it reaches to the end. */
async function endOf(
  connection: Connection,
  { states, to, only }: ScanQuery,
  from: string,
  size: number,
): Promise<string | null> {
  if (only !== null) return null;
  const [last] = await connection.ask(forStates(END, states), [
    ...[bytesOf(from), bytesOf(to)],
    size - 1,
  ]);
  return last === undefined ? null : digitsOf(last[0] as Buffer);
}

function sliceOf({ only, states }: ScanQuery): string {
  return only === null ? forStates(SLICE, states) : THESE;
}

/** There is an index of dead ones only. */
function forStates(statement: string, states: number): string {
  return states === ONLY_DEAD
    ? statement.replace('WHERE r.id', `WHERE ${OF_DEAD} r.id`)
    : statement;
}

function parameters(
  { states, service, serviceMatch, kind, own, more, only }: ScanQuery,
  by: Grouping | null,
  from: string,
  to: string,
  most: number,
): (Buffer | number)[] {
  const { reason, extra, diedAt } = wantedBy(more, by);
  return [
    ...[bytesOf(from), bytesOf(to), states],
    ...[service === null ? ANY : MATCHES[serviceMatch], service ?? Buffer.alloc(0), most],
    ...[Number(reason), Number(extra), Number(diedAt), kind, own],
    ...(only === null ? [] : [uuids(uuidsOf(only).map(bytesOf))]),
  ];
}

/** How many rows a query has examined that ends there. */
async function scannedBy(
  connection: Connection,
  query: ScanQuery,
  next: string | null,
): Promise<number> {
  const last = next ?? query.to;
  if (query.only !== null) return listedIn(query, last).length;
  const values = [bytesOf(query.from), bytesOf(last)];
  const [row] = await connection.ask(forStates(COUNT, query.states), values);
  return Number(row?.[0]);
}

function scannedRow([uuid, service, reason, extra, diedAt, notBefore, attempts]: Row): ScannedRow {
  return {
    uuid: digitsOf(uuid as Buffer),
    service: digitsOf(service as Buffer),
    reason: reason === null ? null : String(reason),
    extra: extra as Buffer | null,
    diedAt: diedAt as number | null,
    notBefore: Number(notBefore),
    attempts: Number(attempts),
  };
}
