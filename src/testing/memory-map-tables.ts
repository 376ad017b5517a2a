/** The content of a map's store in memory, as simply as possible (D54, D20). */
import { isDeletion, type MapRecord } from '../map/record.js';
import { packedSize, packRecords, unpackRecords } from '../map/record-codec.js';
import type { MapChunk, MapMerged, MapReadPlace, MapRecovered } from '../map/store.js';
import type { Holding, Transaction } from '../titanic/store/store.js';
import { compareNumbers } from '../wire/chp-client.js';

/** A record, or a tombstone: a deletion. */
interface Row {
  readonly record: MapRecord;
  /** The transaction that changed it. */
  readonly changed: number;
}

const TOMBSTONES_DROPPED = 1000;
const OPENING_TRANSACTIONS = 2 ** 32;

let stores = 0;

export class MemoryMapTables {
  #rows = new Map<string, Row>();
  #holds: Holding | null = null;
  #peerHolds = 0;
  #openings = 0;
  #last = 0;
  readonly #storeId = Buffer.alloc(16, ++stores);

  /** A process opens it. */
  open(): MapRecovered {
    this.#openings++;
    this.#last = this.#openings * OPENING_TRANSACTIONS;
    const epochs = [...this.#rows.values()].map(({ record }) => record.epoch);
    return {
      storeId: this.#storeId,
      firstTransaction: this.#last + 1,
      holds: this.#holds,
      epochMax: epochs.reduce((a, b) => Math.max(a, b), 0),
    };
  }

  /** In order of their keys. */
  get rows(): readonly Row[] {
    return [...this.#rows.values()].sort((a, b) => compareKeys(a.record.key, b.record.key));
  }

  commit(transaction: Transaction, changes: readonly MapRecord[]): void {
    for (const change of changes) {
      const before = this.#rows.get(change.key);
      if (before !== undefined && compareNumbers(change, before.record) <= 0) continue;
      this.#apply(transaction, change);
    }
    this.#end(transaction);
  }

  /** @returns `null` if the bytes are no records; then nothing is changed */
  merge(transaction: Transaction, bytes: Buffer): MapMerged | null {
    const records = unpackRecords(bytes);
    if (records === null) return null;
    const peerHolds = Math.max(this.#peerHolds, transaction.peerHolds);
    const changed: MapRecord[] = [];
    const conflicts: string[] = [];
    for (const record of records) {
      const before = this.#rows.get(record.key);
      const order = before === undefined ? 1 : compareNumbers(record, before.record);
      if (order !== 0 && before !== undefined && before.changed > peerHolds) {
        conflicts.push(record.key);
      }
      if (order <= 0) continue;
      const isNews = !isDeletion(record) || (before !== undefined && !isDeletion(before.record));
      this.#apply(transaction, record);
      if (isNews) changed.push(record);
    }
    this.#end(transaction);
    return { changed, conflicts };
  }

  #apply({ number, tombstones }: Transaction, change: MapRecord): void {
    const { key } = change;
    const isHere = this.#rows.has(key);
    const leaves = tombstones === 'all' || (tombstones === 'known' && isHere);
    if (isDeletion(change) && !leaves) this.#rows.delete(key);
    else this.#rows.set(key, { record: change, changed: number });
  }

  #end({ number, holds, peerHolds }: Transaction): void {
    if (holds !== null) this.#holds = holds;
    this.#peerHolds = Math.max(this.#peerHolds, peerHolds);
    const over = this.rows.filter(
      ({ record, changed }) => isDeletion(record) && changed <= this.#peerHolds,
    );
    for (const { record } of over.slice(0, TOMBSTONES_DROPPED)) this.#rows.delete(record.key);
    this.#last = number;
  }

  read(place: MapReadPlace, recordsMax: number, bytesMax: number): MapChunk {
    const rows = this.rows
      .filter(
        ({ record, changed }) =>
          changed > place.changed ||
          (changed === place.changed && compareKeys(record.key, place.key) > 0),
      )
      .sort((a, b) => a.changed - b.changed || compareKeys(a.record.key, b.record.key));
    const records: MapRecord[] = [];
    let bytes = 0;
    let { changed, key } = place;
    for (const row of rows) {
      if (records.length > 0 && (records.length === recordsMax || bytes >= bytesMax)) break;
      records.push(row.record);
      bytes += packedSize(row.record);
      ({ changed } = row);
      ({ key } = row.record);
    }
    const next = rows[records.length];
    const upTo = next === undefined ? this.#last : Math.max(place.upTo, next.changed - 1);
    const isLast = next === undefined && bytes < bytesMax;
    return {
      records: packRecords(records),
      holds: { storeId: this.#storeId, upTo, bodiesUpTo: upTo },
      next: isLast ? null : { upTo, changed, key },
    };
  }

  list(after: string, most: number): MapRecord[] {
    const records = this.rows.map(({ record }) => record);
    return records
      .filter((record) => !isDeletion(record) && compareKeys(record.key, after) > 0)
      .slice(0, most);
  }
}

/** Latin-1 text compares as its bytes do. */
function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
