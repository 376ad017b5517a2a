/** The map's records in a store file (store/map-store.ts), within the transactions of tables.ts. */
import type Database from 'better-sqlite3';

import {
  isDeletion,
  type MapRecord,
  RECORD_BYTES,
  tombstoneBytesOf,
  valueOf,
} from '../../map-record.js';
import { packedSize } from '../../map-record-codec.js';
import type { MapMerged } from '../../map-store.js';
import { compareNumbers, readProperties } from '../../../wire/chp-client.js';
import type { Transaction } from '../../store.js';

/** Maximum number of tombstones that are dropped in one transaction. */
const TOMBSTONES_DROPPED = 1000;
/** Records listed at once, and their size. */
const LISTED_RECORDS = 4096;
const LISTED_BYTES = 1024 * 1024;

const RECORD = 'key, epoch, counter, uuid, properties, value';

const SQL = {
  put: `INSERT INTO map (${RECORD}, changed) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET epoch = excluded.epoch, counter = excluded.counter,
    uuid = excluded.uuid, properties = excluded.properties, value = excluded.value,
    changed = excluded.changed`,
  existing: `SELECT epoch, counter, changed, value IS NULL AS isTombstone FROM map WHERE key = ?`,
  delete: 'DELETE FROM map WHERE key = ?',
  dropTombstones: `DELETE FROM map WHERE id IN
    (SELECT id FROM map WHERE value IS NULL AND changed <= ? ORDER BY changed LIMIT ?)
    RETURNING length(key)`,
  tombstoneBytes: `SELECT coalesce(sum(length(key) + ${RECORD_BYTES}), 0) FROM map
    WHERE value IS NULL`,
  epochMax: 'SELECT coalesce(max(epoch), 0) FROM map',
  list: `SELECT ${RECORD} FROM map WHERE key > ? AND value IS NOT NULL ORDER BY key`,
  changed: `SELECT ${RECORD}, changed FROM map WHERE changed > ? AND changed <= ? ORDER BY changed`,
};

interface ExistingKey {
  readonly epoch: number;
  readonly counter: number;
  readonly changed: number;
  readonly isTombstone: number;
}

interface Row {
  readonly key: Buffer;
  readonly epoch: number;
  readonly counter: number;
  readonly uuid: Buffer;
  readonly properties: Buffer;
  /** `null`: a tombstone. */
  readonly value: Buffer | null;
}

interface ChangedRow extends Row {
  readonly changed: number;
}

type Statement<Values extends unknown[], Row = unknown> = Database.Statement<Values, Row>;

export interface MapStatements {
  readonly put: Statement<[Buffer, number, number, Buffer, Buffer, Buffer | null, number]>;
  readonly existing: Statement<[Buffer], ExistingKey>;
  readonly delete: Statement<[Buffer]>;
  /** The lengths of their keys. */
  readonly dropTombstones: Statement<[number, number], number>;
  readonly tombstoneBytes: Statement<[], number>;
  readonly epochMax: Statement<[], number>;
  readonly list: Statement<[Buffer], Row>;
  readonly changed: Statement<[number, number], ChangedRow>;
}

/** All statements of the map that run while a store is in service. */
export function prepareMapStatements(db: Database.Database): MapStatements {
  return {
    put: db.prepare(SQL.put),
    existing: db.prepare(SQL.existing),
    delete: db.prepare(SQL.delete),
    dropTombstones: db.prepare<[number, number], number>(SQL.dropTombstones).pluck(),
    tombstoneBytes: db.prepare<[], number>(SQL.tombstoneBytes).pluck(),
    epochMax: db.prepare<[], number>(SQL.epochMax).pluck(),
    list: db.prepare(SQL.list),
    changed: db.prepare(SQL.changed),
  };
}

export class MapRows {
  readonly #sql: MapStatements;
  #tombstoneBytes: number;
  /** `#tombstoneBytes` as of the last commit. */
  #committedTombstoneBytes: number;

  constructor(db: Database.Database) {
    this.#sql = prepareMapStatements(db);
    this.#tombstoneBytes = this.#sql.tombstoneBytes.get() ?? 0;
    this.#committedTombstoneBytes = this.#tombstoneBytes;
  }

  /** What the tombstones count, as of the last commit. */
  get tombstoneBytes(): number {
    return this.#committedTombstoneBytes;
  }

  /** The highest epoch of any record or tombstone; 0: there is none. */
  get epochMax(): number {
    return this.#sql.epochMax.get() ?? 0;
  }

  // ---------------------------------------------------------------- changes

  change(transaction: Transaction, changes: readonly MapRecord[]): void {
    for (const change of changes) {
      const before = this.#existing(change);
      if (before === undefined || compareNumbers(change, before) > 0) {
        this.#apply(transaction, change, before);
      }
    }
  }

  /** @param peerHolds the peer's disk has this store up to this transaction */
  merge(transaction: Transaction, records: readonly MapRecord[], peerHolds: number): MapMerged {
    const changed: MapRecord[] = [];
    const conflicts: string[] = [];
    for (const record of records) {
      const before = this.#existing(record);
      const order = before === undefined ? 1 : compareNumbers(record, before);
      if (before !== undefined && order !== 0 && before.changed > peerHolds) {
        conflicts.push(record.key);
      }
      if (order <= 0) continue;
      this.#apply(transaction, record, before);
      const wasHere = before?.isTombstone === 0;
      if (wasHere || !isDeletion(record)) changed.push(record);
    }
    return { changed, conflicts };
  }

  #existing({ key }: MapRecord): ExistingKey | undefined {
    return this.#sql.existing.get(bytesOf(key));
  }

  #apply(
    { number, tombstones }: Transaction,
    change: MapRecord,
    before: ExistingKey | undefined,
  ): void {
    const { key, epoch, counter, uuid, properties, value } = change;
    const isTombstone = isDeletion(change);
    const leaves = tombstones === 'all' || (tombstones === 'known' && before !== undefined);
    if (before?.isTombstone === 1) this.#tombstoneBytes -= tombstoneBytesOf(key);
    if (isTombstone && !leaves) {
      this.#sql.delete.run(bytesOf(key));
      return;
    }
    if (isTombstone) this.#tombstoneBytes += tombstoneBytesOf(key);
    const stored = isTombstone ? null : typeof value === 'string' ? bytesOf(value) : value;
    const named = [bytesOf(key), epoch, counter, bytesOf(uuid), bytesOf(properties)] as const;
    this.#sql.put.run(...named, stored, number);
  }

  /** Called last in each transaction. Returns how many it dropped. */
  dropTombstones(peerHolds: number): number {
    if (this.#tombstoneBytes === 0) return 0;
    const keys = this.#sql.dropTombstones.all(peerHolds, TOMBSTONES_DROPPED);
    for (const bytes of keys) this.#tombstoneBytes -= bytes + RECORD_BYTES;
    return keys.length;
  }

  committed(): void {
    this.#committedTombstoneBytes = this.#tombstoneBytes;
  }

  rolledBack(): void {
    this.#tombstoneBytes = this.#committedTombstoneBytes;
  }

  // ---------------------------------------------------------------- reads

  /** See `MapStore.listMap`. */
  list(after: string): MapRecord[] {
    const records: MapRecord[] = [];
    let bytes = 0;
    for (const row of this.#sql.list.iterate(bytesOf(after))) {
      const record = recordOf(row);
      records.push(record);
      bytes += packedSize(record);
      if (records.length === LISTED_RECORDS || bytes >= LISTED_BYTES) break;
    }
    return records;
  }

  /**
   * Records of complete transactions after one and up to another, or fewer, and how far they go: no
   * more once they have this many bytes. Without any room, none.
   */
  changed(
    after: number,
    upTo: number,
    bytesMax: number,
  ): { readonly records: readonly MapRecord[]; readonly bytes: number; readonly upTo: number } {
    const records: MapRecord[] = [];
    let bytes = 0;
    let last = after;
    for (const row of this.#sql.changed.iterate(after, upTo)) {
      if (bytes >= bytesMax && row.changed !== last) return { records, bytes, upTo: last };
      last = row.changed;
      const record = recordOf(row);
      records.push(record);
      bytes += packedSize(record);
    }
    return { records, bytes, upTo };
  }
}

function recordOf({ key, epoch, counter, uuid, properties, value }: Row): MapRecord {
  const text = properties.toString('latin1');
  const ttlS = readProperties(text);
  return {
    key: key.toString('latin1'),
    epoch,
    counter,
    uuid: uuid.toString('latin1'),
    properties: text,
    value: value === null ? '' : valueOf(value),
    ttlS: typeof ttlS === 'number' ? ttlS : 0,
  };
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
