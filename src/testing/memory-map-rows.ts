/** The map's records in a memory store, as simply as possible (store/map-store.ts: D54, D20). */
import { isDeletion, type MapRecord, tombstoneBytesOf } from '../store/map-record.js';
import { packedSize } from '../store/map-record-codec.js';
import type { MapMerged } from '../store/map-store.js';
import type { Transaction } from '../store/store.js';
import { compareNumbers } from '../wire/chp-client.js';

/** A record, or a tombstone: a deletion. */
interface Row {
  readonly record: MapRecord;
  /** The transaction that changed it. */
  readonly changed: number;
}

const TOMBSTONES_DROPPED = 1000;

export class MemoryMapRows {
  readonly #rows = new Map<string, Row>();

  /** In order of their keys. */
  get rows(): readonly Row[] {
    return [...this.#rows.values()].sort((a, b) => compareKeys(a.record.key, b.record.key));
  }

  /** The highest epoch of any record or tombstone; 0: there is none. */
  get epochMax(): number {
    return this.rows.reduce((most, { record }) => Math.max(most, record.epoch), 0);
  }

  /** See `MapStoreEvents.mapTombstones`. */
  get tombstoneBytes(): number {
    return [...this.#rows.values()]
      .filter(({ record }) => isDeletion(record))
      .reduce((sum, { record }) => sum + tombstoneBytesOf(record.key), 0);
  }

  change(transaction: Transaction, changes: readonly MapRecord[]): void {
    for (const change of changes) {
      const before = this.#rows.get(change.key);
      if (before !== undefined && compareNumbers(change, before.record) <= 0) continue;
      this.#apply(transaction, change);
    }
  }

  /** @param peerHolds the peer's disk has this store up to this transaction */
  merge(transaction: Transaction, records: readonly MapRecord[], peerHolds: number): MapMerged {
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
    return { changed, conflicts };
  }

  #apply({ number, tombstones }: Transaction, change: MapRecord): void {
    const { key } = change;
    const isHere = this.#rows.has(key);
    const leaves = tombstones === 'all' || (tombstones === 'known' && isHere);
    if (isDeletion(change) && !leaves) this.#rows.delete(key);
    else this.#rows.set(key, { record: change, changed: number });
  }

  /** Called last in each transaction. */
  dropTombstones(peerHolds: number): void {
    const over = this.rows
      .filter(({ record, changed }) => isDeletion(record) && changed <= peerHolds)
      .sort((a, b) => a.changed - b.changed);
    for (const { record } of over.slice(0, TOMBSTONES_DROPPED)) this.#rows.delete(record.key);
  }

  /** Records of complete transactions after one and up to another, or fewer. */
  changed(
    after: number,
    upTo: number,
    bytesMax: number,
  ): { readonly records: readonly MapRecord[]; readonly bytes: number; readonly upTo: number } {
    const rows = this.rows
      .filter(({ changed }) => changed > after && changed <= upTo)
      .sort((a, b) => a.changed - b.changed);
    const records: MapRecord[] = [];
    let bytes = 0;
    let last = after;
    for (const { record, changed } of rows) {
      if (bytes >= bytesMax && changed !== last) return { records, bytes, upTo: last };
      last = changed;
      records.push(record);
      bytes += packedSize(record);
    }
    return { records, bytes, upTo };
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
