/** Records of a store file: what changed after a given transaction, for the peer's store; and all. */
import type Database from 'better-sqlite3';

import { assert, present } from '../../../core/assert.js';
import { packChunk } from '../../chunk-codec.js';
import { type KeyRecord, RecordWriter, type RequestRecord } from '../../record-codec.js';
import type { Chunk, ReadCursor, RequestUuid } from '../../store.js';
import type { RankedRows } from './ranked-rows.js';
import {
  type ChangedRow,
  changedRow,
  prepareReading,
  type ReadingStatements,
  type Statements,
} from './statements.js';

/** Maximum number of tombstones, and of keys, in one chunk, unless one transaction has more. */
const SMALL_MAX = 4096;

/** @param last the number of the last transaction that was committed */
export function readChunk(
  sql: Statements,
  ranked: RankedRows,
  last: number,
  place: ReadCursor,
  requestsMax: number,
  bytesMax: number,
): Chunk {
  const records = new RecordWriter();
  // All requests up to there were sent, but not all else that changed: that comes first, since after a break the
  // receiver goes on from `upTo`.
  const aheadTo = place.changed - 1;
  const isAhead = aheadTo > place.upTo;
  const rows = isAhead
    ? []
    : sql.changedRequests.all(place.changed, place.number, requestsMax + 1).map(changedRow);
  let { changed, number } = place;
  let count = 0;
  for (const row of rows) {
    if (count > 0 && (count === requestsMax || records.bytes >= bytesMax)) break;
    records.add(recordOf(sql, row, place.bodiesUpTo));
    changed = row.changed;
    number = row.request.number;
    count++;
  }
  // All transactions before that of the next request are complete; if there is none, all are.
  const next = rows[count];
  const whole = next === undefined ? last : Math.max(place.upTo, next.changed - 1);
  let upTo = isAhead ? aheadTo : whole;
  const tombstones = changedBy(place.upTo, upTo, (...range) => sql.changedTombstones.all(...range));
  upTo = Math.min(upTo, tombstones.upTo);
  const keys = changedBy(place.upTo, upTo, (...range) => sql.changedKeys.all(...range));
  upTo = Math.min(upTo, keys.upTo);
  const ofParts = ranked.changed(place.upTo, upTo, bytesMax - records.bytes);
  upTo = ofParts.upTo;
  for (const { uuid, keyUntil, by, extra } of tombstones.rows) {
    records.add({ kind: 'tombstone', uuid, keyUntil, by, extra });
  }
  for (const { service, key, uuid, until, owner, extra } of keys.rows) {
    records.add({ kind: 'key', service, key, uuid, until, owner, extra });
  }
  // From the last chunk on, commits wait for the peer, so that chunk should be short.
  const isLast = next === undefined && upTo === last && records.bytes + ofParts.bytes < bytesMax;
  const bodiesUpTo = isLast ? last : place.bodiesUpTo;
  return {
    records: packChunk({ requests: records.to.takeBuffer(), parts: ofParts.parts }),
    holds: { storeId: present(sql.storeId.get(), 'a store id'), upTo, bodiesUpTo },
    next: isLast ? null : { upTo, bodiesUpTo, changed, number },
  };
}

interface Changed {
  readonly changed: number;
}

/** Rows of complete transactions after one and up to another, or fewer, and how far they go. */
function changedBy<Row extends Changed>(
  after: number,
  upTo: number,
  select: (after: number, upTo: number, most: number) => Row[],
): { readonly rows: readonly Row[]; readonly upTo: number } {
  const rows = select(after, upTo, SMALL_MAX + 1);
  const above = rows[SMALL_MAX];
  const first = rows[0];
  if (above === undefined || first === undefined) return { rows, upTo };
  if (first.changed === above.changed) {
    return { rows: select(after, above.changed, -1), upTo: above.changed };
  }
  return {
    rows: rows.filter(({ changed }) => changed < above.changed),
    upTo: above.changed - 1,
  };
}

/** The whole state of a request, with its body if it was created after a given transaction. */
export function recordOf(
  sql: ReadingStatements,
  row: ChangedRow,
  bodiesUpTo: number,
): RequestRecord {
  const isWithBody = row.born > bodiesUpTo;
  const record = recordIn(sql, row, isWithBody);
  const { state } = record.request;
  assert(record.body !== null || !isWithBody, 'a body');
  assert(record.reply !== null || state !== 'replied', 'a reply');
  assert(record.death !== null || state !== 'dead', 'a reason');
  return record;
}

/** Like `recordOf`, but what a damaged file lacks is `null`. */
function recordIn(sql: ReadingStatements, row: ChangedRow, isWithBody: boolean): RequestRecord {
  const { request, key, attemptsEver, extra } = row;
  const { number, state } = request;
  return {
    kind: 'request',
    request,
    key,
    body: isWithBody ? (sql.bodyOf.get(number) ?? null) : null,
    attemptsEver,
    attempts: attemptsEver === 0 ? [] : sql.attempts.all(number),
    reply: state === 'replied' ? (sql.replyRow.get(number) ?? null) : null,
    death: state === 'dead' ? (sql.deathRow.get(number) ?? null) : null,
    extra,
  };
}

/** A record of a whole store. A pair does not exchange the fields of later versions of such a key. */
export type CopiedRecord =
  | (RequestRecord & {
      /** Unknown fields of its key, which leads to it. */
      readonly keyExtra: Buffer | null;
    })
  | KeyRecord;

/**
 * All that is in a file of requests and of keys: first the requests after this one, in the order of
 * their ids, then the keys whose requests have ended. The file may be damaged.
 */
export function* recordsIn(db: Database.Database, after: RequestUuid): Generator<CopiedRecord> {
  const sql = prepareReading(db);
  for (const row of sql.requestsById.iterate(after)) {
    const record = recordIn(sql, changedRow(row), true);
    const { key, request } = record;
    const known = key === null ? undefined : sql.keyOf.get(request.service, key, request.owner);
    yield { ...record, keyExtra: known?.extra ?? null };
  }
  for (const row of sql.rememberedKeys.iterate()) yield { kind: 'key', ...row };
}
