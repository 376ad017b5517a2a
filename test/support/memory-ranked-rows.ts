/** Ranked records in a memory store, as simply as possible (store/ranked.ts: D54, D20). */
import {
  compareRanks,
  type PartRecords,
  type Ranked,
  type RankedMerged,
  type TombstoneSizes,
} from '../../src/store/ranked.js';
import { packedSize } from '../../src/store/ranked-codec.js';
import type { Transaction } from '../../src/store/store.js';

/** A record, or a tombstone: a deletion. */
interface Row {
  readonly part: number;
  readonly record: Ranked;
  /** The transaction that changed it. */
  readonly changed: number;
}

const TOMBSTONES_DROPPED = 1000;

export class MemoryRankedRows {
  readonly #rows = new Map<string, Row>();
  readonly #parts = new Set<number>();

  /** In order of their parts and keys. */
  get rows(): readonly Row[] {
    return [...this.#rows.values()].sort(
      (a, b) => a.part - b.part || compareKeys(a.record.key, b.record.key),
    );
  }

  /** The records and tombstones of one part. */
  of(part: number): readonly Ranked[] {
    return this.rows.filter((row) => row.part === part).map(({ record }) => record);
  }

  /** The highest epoch of any record or tombstone; 0: there is none. */
  get epochMax(): number {
    return this.rows.reduce((most, { record }) => Math.max(most, record.epoch), 0);
  }

  /** Each part that ever had any rows, with what its tombstones are. */
  get parts(): readonly TombstoneSizes[] {
    return [...this.#parts].map((part) => this.tombstonesOf(part));
  }

  tombstonesOf(part: number): TombstoneSizes {
    const keys = this.of(part).flatMap(({ key, isDeleted }) => (isDeleted ? [key] : []));
    const keyBytes = keys.reduce((sum, key) => sum + key.length, 0);
    return { part, count: keys.length, keyBytes };
  }

  change(transaction: Transaction, part: number, changes: readonly Ranked[]): void {
    for (const change of changes) {
      const before = this.#get(part, change);
      if (before !== undefined && compareRanks(change, before.record) <= 0) continue;
      this.#apply(transaction, part, change);
    }
  }

  /** @param peerHolds the peer's disk has this store up to this transaction */
  merge(transaction: Transaction, { part, records }: PartRecords, peerHolds: number): RankedMerged {
    const changed: Ranked[] = [];
    const ineffective: Ranked[] = [];
    const conflicts: string[] = [];
    for (const record of records) {
      const before = this.#get(part, record);
      const order = before === undefined ? 1 : compareRanks(record, before.record);
      if (order !== 0 && before !== undefined && before.changed > peerHolds) {
        conflicts.push(record.key);
      }
      if (before !== undefined && order < 0) {
        ineffective.push(...(before.record.isDeleted ? [before.record] : []), record);
      }
      if (order <= 0) continue;
      const isNews = !record.isDeleted || before?.record.isDeleted === false;
      this.#apply(transaction, part, record);
      (isNews ? changed : ineffective).push(record);
    }
    return { part, changed, ineffective, conflicts };
  }

  #get(part: number, { key }: Ranked): Row | undefined {
    return this.#rows.get(nameOf(part, key));
  }

  #apply({ number, tombstones }: Transaction, part: number, change: Ranked): void {
    const name = nameOf(part, change.key);
    const isHere = this.#rows.has(name);
    this.#parts.add(part);
    const leaves = tombstones === 'all' || (tombstones === 'known' && isHere);
    if (change.isDeleted && !leaves) this.#rows.delete(name);
    else this.#rows.set(name, { part, record: change, changed: number });
  }

  /** Called last in each transaction. */
  dropTombstones(peerHolds: number): void {
    const over = this.rows
      .filter(({ record, changed }) => record.isDeleted && changed <= peerHolds)
      .sort((a, b) => a.changed - b.changed);
    for (const { part, record } of over.slice(0, TOMBSTONES_DROPPED)) {
      this.#rows.delete(nameOf(part, record.key));
    }
  }

  /** Records of complete transactions after one and up to another, or fewer. */
  changed(
    after: number,
    upTo: number,
    bytesMax: number,
  ): { readonly parts: readonly PartRecords[]; readonly bytes: number; readonly upTo: number } {
    const rows = this.rows
      .filter(({ changed }) => changed > after && changed <= upTo)
      .sort((a, b) => a.changed - b.changed);
    const taken: Row[] = [];
    let bytes = 0;
    let last = after;
    let end = upTo;
    for (const row of rows) {
      if (last > after && bytes >= bytesMax && row.changed !== last) {
        end = last;
        break;
      }
      last = row.changed;
      taken.push(row);
      bytes += packedSize(row.record);
    }
    const numbers = [...new Set(taken.map(({ part }) => part))].sort((a, b) => a - b);
    const parts = numbers.map((part) => ({
      part,
      records: taken.filter((row) => row.part === part).map(({ record }) => record),
    }));
    return { parts, bytes, upTo: end };
  }

  list(part: number, after: string, most: number): Ranked[] {
    return this.of(part)
      .filter(({ key, isDeleted }) => !isDeleted && compareKeys(key, after) > 0)
      .slice(0, most);
  }
}

function nameOf(part: number, key: string): string {
  return `${part} ${key}`;
}

/** Latin-1 text compares as its bytes do. */
function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
