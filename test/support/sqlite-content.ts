/** The content of a store file in the form of the store in memory, for comparison. */
import Database from 'better-sqlite3';

import { present } from '../../src/core/assert.js';
import { countContent } from '../../src/store/sqlite/tables/content-counts.js';
import { WORK_KINDS } from '../../src/store/record-kind.js';
import { requestFrom, type StoredRequest } from '../../src/store/request.js';
import { type Cell, requestColumns, RowReader } from '../../src/store/rows.js';
import type { StoreContent } from './memory-node-tables.js';

type Entry = StoreContent['requests'][number];

/** What a row has besides the request. */
interface Row {
  readonly key: Buffer | null;
  readonly attempts_ever: number;
  readonly changed: number;
  readonly born: number;
  readonly extra: Buffer | null;
}

/** @param path of a store that is idle or that no process has open */
export function sqliteContent(path: string): StoreContent {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    const all = 'FROM requests ORDER BY number';
    const rows = db.prepare<[], Row>(`SELECT * ${all}`).all();
    const requests = db
      .prepare<[], Cell[]>(`SELECT ${requestColumns((column) => column)} ${all}`)
      .raw()
      .all()
      .map((cells) => requestFrom(new RowReader(cells)));
    return {
      nextNumber: Number(db.prepare('SELECT next_number FROM ledger').pluck().get()),
      requests: requests.map((request, at) => entryOf(db, request, present(rows[at], 'a row'))),
      keys: db
        .prepare<[], StoreContent['keys'][number]>(
          `SELECT service, key, owner, uuid, until, extra, changed FROM keys
            ORDER BY service, key, owner`,
        )
        .all(),
      tombstones: db
        .prepare<[], StoreContent['tombstones'][number]>(
          `SELECT uuid, key_until AS keyUntil, closed_by AS by, extra, changed FROM tombstones
            ORDER BY uuid, closed_by`,
        )
        .all(),
      owners: [...countContent(db).tally.all.owners].sort(({ owner: a }, { owner: b }) =>
        a < b ? -1 : 1,
      ),
      services: db
        .prepare<[], StoreContent['services'][number]>(
          `SELECT service, sum(state = 1) AS pending, sum(state = 1 AND attempts > 0) AS retrying,
            sum(state = 2) AS replied, sum(state = 3) AS dead
            FROM requests WHERE kind IN (${WORK_KINDS}) GROUP BY service ORDER BY service`,
        )
        .all(),
      holds:
        db
          .prepare<[], NonNullable<StoreContent['holds']>>(
            `SELECT store_id AS storeId, up_to AS upTo, bodies_up_to AS bodiesUpTo FROM peer`,
          )
          .get() ?? null,
    };
  } finally {
    db.close();
  }
}

interface RankedRow {
  readonly part: number;
  readonly key: Buffer;
  readonly epoch: number;
  readonly counter: number;
  readonly body: Buffer;
}

/** The records of extensions, without tombstones. */
export function rankedRows(path: string): RankedRow[] {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    return db
      .prepare<[], RankedRow>(
        'SELECT part, key, epoch, counter, body FROM ranked WHERE deleted = 0 ORDER BY part, key',
      )
      .all();
  } finally {
    db.close();
  }
}

function entryOf(db: Database.Database, request: StoredRequest, row: Row): Entry {
  const { number } = request;
  const { key, changed, born } = row;
  return {
    request,
    key,
    body:
      db
        .prepare<[number], Buffer>('SELECT body FROM bodies WHERE number = ?')
        .pluck()
        .get(number) ?? NOTHING,
    attemptsEver: row.attempts_ever,
    attempts: db
      .prepare<[number], Entry['attempts'][number]>(
        `SELECT ordinal, worker, started_at AS startedAt, ended_at AS endedAt, reason, extra, failure
          FROM attempts WHERE number = ? ORDER BY ordinal`,
      )
      .all(number),
    reply:
      db
        .prepare<[number], NonNullable<Entry['reply']>>(
          'SELECT reply, worker, replied_at AS at FROM replies WHERE number = ?',
        )
        .get(number) ?? null,
    death:
      db
        .prepare<[number], NonNullable<Entry['death']>>(
          'SELECT reason, died_at AS at FROM deaths WHERE number = ?',
        )
        .get(number) ?? null,
    extra: row.extra,
    changed,
    born,
  };
}

const NOTHING = Buffer.from('no body');
