/** The content of a store file in the form of the store in memory, for comparison. */
import Database from 'better-sqlite3';

import { countContent } from '../../src/store/sqlite/tables/content-counts.js';
import type { Owner, StoredState } from '../../src/store/store.js';
import type { StoreContent } from '../../src/testing/memory-rows.js';

const STATES: readonly StoredState[] = ['pending', 'pending', 'replied', 'dead'];

type Entry = StoreContent['requests'][number];

interface Row {
  readonly number: number;
  readonly uuid: Buffer;
  readonly service: Buffer;
  readonly key: Buffer | null;
  readonly state: number;
  readonly generation: number;
  readonly priority: number;
  readonly accepted_at: number;
  readonly not_before: number;
  readonly expires_at: number;
  readonly max_attempts: number;
  readonly attempts: number;
  readonly attempts_ever: number;
  readonly body_bytes: number;
  readonly changed: number;
  readonly born: number;
  readonly owner: Owner;
  readonly shared: number;
  readonly extra: Buffer | null;
}

/** @param path of a store that is idle or that no process has open */
export function sqliteContent(path: string): StoreContent {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    const rows = db.prepare<[], Row>('SELECT * FROM requests ORDER BY number').all();
    return {
      nextNumber: Number(db.prepare('SELECT next_number FROM ledger').pluck().get()),
      requests: rows.map((row) => entryOf(db, row)),
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
      owners: [...countContent(db).owners].sort(({ owner: a }, { owner: b }) => (a < b ? -1 : 1)),
      services: db
        .prepare<[], StoreContent['services'][number]>(
          `SELECT service, sum(state = 1) AS pending, sum(state = 1 AND attempts > 0) AS retrying,
            sum(state = 2) AS replied, sum(state = 3) AS dead
            FROM requests GROUP BY service ORDER BY service`,
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

interface MapRow {
  readonly key: Buffer;
  readonly epoch: number;
  readonly counter: number;
  readonly properties: Buffer;
  readonly value: Buffer | null;
}

/** The map's records, without tombstones, in order of their keys. */
export function mapRows(path: string): MapRow[] {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    return db
      .prepare<[], MapRow>(
        `SELECT key, epoch, counter, properties, value FROM map WHERE value IS NOT NULL
          ORDER BY key`,
      )
      .all();
  } finally {
    db.close();
  }
}

function entryOf(db: Database.Database, row: Row): Entry {
  const { number, uuid, service, key, generation, priority, attempts, changed, born } = row;
  return {
    request: {
      uuid,
      number,
      service,
      state: STATES[row.state] ?? 'pending',
      priority,
      acceptedAt: row.accepted_at,
      notBefore: row.not_before,
      expiresAt: row.expires_at,
      maxAttempts: row.max_attempts,
      attempts,
      generation,
      bodyBytes: row.body_bytes,
      owner: row.owner,
      isShared: row.shared === 1,
    },
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
