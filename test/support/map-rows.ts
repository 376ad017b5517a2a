/** The map's records where they are stored: in memory, as a store keeps them, and in a store file. */
import Database from 'better-sqlite3';

import { present } from '../../src/core/assert.js';
import { type MapRecord, RECORD_BYTES } from '../../src/extensions/map/machine/record.js';
import type { MapMerged } from '../../src/extensions/map/machine/replica.js';
import { MAP_PART } from '../../src/extensions/map/part.js';
import { rankedOf, recordIn } from '../../src/extensions/map/storage.js';
import type { Ranked } from '../../src/store/ranked.js';
import type { Transaction } from '../../src/store/store.js';
import { MemoryRankedRows } from './memory-ranked-rows.js';

const PART = MAP_PART.number;

/** The records of a test, which the map has made itself. */
export function mapRecords(ranked: readonly Ranked[]): MapRecord[] {
  return ranked.map((record) => present(recordIn(record), 'a record of the map'));
}

export class MapRows {
  readonly ranked = new MemoryRankedRows();

  /** In order of their keys, tombstones as deletions. */
  get rows(): readonly { readonly record: MapRecord }[] {
    return mapRecords(this.ranked.of(PART)).map((record) => ({ record }));
  }

  get tombstoneBytes(): number {
    const { count, keyBytes } = this.ranked.tombstonesOf(PART);
    return keyBytes + count * RECORD_BYTES;
  }

  change(transaction: Transaction, changes: readonly MapRecord[]): void {
    this.ranked.change(transaction, PART, changes.map(rankedOf));
  }

  merge(transaction: Transaction, records: readonly MapRecord[], peerHolds: number): MapMerged {
    const part = { part: PART, records: records.map(rankedOf) };
    const { changed, ineffective, conflicts } = this.ranked.merge(transaction, part, peerHolds);
    return { changed: mapRecords(changed), ineffective: mapRecords(ineffective), conflicts };
  }

  dropTombstones(peerHolds: number): void {
    this.ranked.dropTombstones(peerHolds);
  }

  list(after: string, most: number): MapRecord[] {
    return mapRecords(this.ranked.list(PART, after, most));
  }
}

interface Row {
  readonly key: Buffer;
  readonly epoch: number;
  readonly counter: number;
  readonly body: Buffer;
}

/** The map's records in a store file, without tombstones, in order of their keys. */
export function mapRowsIn(path: string): MapRecord[] {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    const rows = db
      .prepare<[number], Row>(
        `SELECT key, epoch, counter, body FROM ranked WHERE part = ? AND deleted = 0 ORDER BY key`,
      )
      .all(PART);
    return mapRecords(
      rows.map(({ key, ...row }) => ({ ...row, key: key.toString('latin1'), isDeleted: false })),
    );
  } finally {
    db.close();
  }
}
