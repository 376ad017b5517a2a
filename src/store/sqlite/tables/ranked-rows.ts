/** Ranked records in a store file (store/ranked.ts), within the transactions of tables.ts. */
import type Database from 'better-sqlite3';

import {
  compareRanks,
  type PartCount,
  type PartRecords,
  type Ranked,
  type RankedMerged,
  type TombstoneSizes,
} from '../../ranked.js';
import { packedSize } from '../../ranked-codec.js';
import type { Transaction } from '../../store.js';

/** Maximum number of tombstones that are dropped in one transaction. */
const TOMBSTONES_DROPPED = 1000;
/** Records listed at once, and their size. */
const LISTED_RECORDS = 4096;
const LISTED_BYTES = 1024 * 1024;

const RECORD = 'part, key, epoch, counter, deleted, body';

const SQL = {
  put: `INSERT INTO ranked (${RECORD}, changed) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (part, key) DO UPDATE SET epoch = excluded.epoch, counter = excluded.counter,
    deleted = excluded.deleted, body = excluded.body, changed = excluded.changed`,
  existing: `SELECT id, epoch, counter, changed, deleted, iif(deleted, body, NULL) AS deletion
    FROM ranked WHERE part = ? AND key = ?`,
  delete: 'DELETE FROM ranked WHERE part = ? AND key = ?',
  dropTombstones: `DELETE FROM ranked WHERE id IN
    (SELECT id FROM ranked WHERE deleted = 1 AND changed <= ? ORDER BY changed LIMIT ?)
    RETURNING part, length(key) AS bytes`,
  tombstones: `SELECT part, count(*) AS count, sum(length(key)) AS keyBytes FROM ranked
    WHERE deleted = 1 GROUP BY part`,
  counts: 'SELECT part, count(*) AS records FROM ranked WHERE deleted = 0 GROUP BY part',
  partAfter: 'SELECT min(part) FROM ranked WHERE part > ?',
  epochMax: 'SELECT coalesce(max(epoch), 0) FROM ranked',
  list: `SELECT ${RECORD} FROM ranked WHERE part = ? AND key > ? AND deleted = 0 ORDER BY key`,
  changed: `SELECT ${RECORD}, changed FROM ranked WHERE changed > ? AND changed <= ?
    ORDER BY changed`,
};

/** Counts all records: of each part that has any. */
export function partCounts(db: Database.Database): readonly PartCount[] {
  return db.prepare<[], PartCount>(SQL.counts).all();
}

interface ExistingKey {
  readonly id: number;
  readonly epoch: number;
  readonly counter: number;
  readonly changed: number;
  readonly deleted: number;
  /** The body of a tombstone; `null`: it is none. */
  readonly deletion: Buffer | null;
}

interface Row {
  readonly part: number;
  readonly key: Buffer;
  readonly epoch: number;
  readonly counter: number;
  readonly deleted: number;
  readonly body: Buffer;
}

interface ChangedRow extends Row {
  readonly changed: number;
}

interface Dropped {
  readonly part: number;
  /** The length of its key. */
  readonly bytes: number;
}

type Statement<Values extends unknown[], Row = unknown> = Database.Statement<Values, Row>;

interface RankedStatements {
  readonly put: Statement<[number, Buffer, number, number, number, Buffer, number]>;
  readonly existing: Statement<[number, Buffer], ExistingKey>;
  readonly delete: Statement<[number, Buffer]>;
  readonly dropTombstones: Statement<[number, number], Dropped>;
  readonly tombstones: Statement<[], TombstoneSizes>;
  /** `null`: there is none above this one. */
  readonly partAfter: Statement<[number], number | null>;
  readonly epochMax: Statement<[], number>;
  readonly list: Statement<[number, Buffer], Row>;
  readonly changed: Statement<[number, number], ChangedRow>;
}

/** All statements of ranked records that run while a store is in service. */
export function prepareRankedStatements(db: Database.Database): RankedStatements {
  return {
    put: db.prepare(SQL.put),
    existing: db.prepare(SQL.existing),
    delete: db.prepare(SQL.delete),
    dropTombstones: db.prepare(SQL.dropTombstones),
    tombstones: db.prepare(SQL.tombstones),
    partAfter: db.prepare<[number], number | null>(SQL.partAfter).pluck(),
    epochMax: db.prepare<[], number>(SQL.epochMax).pluck(),
    list: db.prepare(SQL.list),
    changed: db.prepare(SQL.changed),
  };
}

export class RankedRows {
  readonly #sql: RankedStatements;
  readonly #apart: number;
  /** By part, as of the last commit. */
  readonly #committed: Map<number, TombstoneSizes>;
  /** Tombstones of the parts that this transaction has changed, by part. */
  readonly #tombstones = new Map<number, TombstoneSizes>();
  /** Parts whose tombstones have changed since they were last told. */
  readonly #untold = new Set<number>();

  /** @param apart a deletion of a record up to this id leaves a tombstone in any case */
  constructor(db: Database.Database, apart: number) {
    this.#apart = apart;
    this.#sql = prepareRankedStatements(db);
    this.#committed = new Map(this.#sql.tombstones.all().map((sizes) => [sizes.part, sizes]));
  }

  /** The highest epoch of any record or tombstone; 0: there is none. */
  get epochMax(): number {
    return this.#sql.epochMax.get() ?? 0;
  }

  /** Each part that has records or tombstones, with what its tombstones are. */
  get parts(): readonly TombstoneSizes[] {
    const parts: TombstoneSizes[] = [];
    let part = this.#sql.partAfter.get(0) ?? null;
    for (; part !== null; part = this.#sql.partAfter.get(part) ?? null) {
      parts.push(this.#sizesOf(part));
    }
    return parts;
  }

  get hasTombstones(): boolean {
    for (const { count } of this.#committed.values()) if (count > 0) return true;
    return this.#tombstones.size > 0;
  }

  /** What has changed of tombstones since the last call, as of the last commit. */
  takeTombstones(): readonly TombstoneSizes[] {
    const sizes = [...this.#untold].map((part) => this.#sizesOf(part));
    this.#untold.clear();
    return sizes;
  }

  // ---------------------------------------------------------------- changes

  change(transaction: Transaction, part: number, changes: readonly Ranked[]): void {
    for (const change of changes) {
      const before = this.#existing(part, change);
      if (before === undefined || compareRanks(change, before) > 0) {
        this.#apply(transaction, part, change, before);
      }
    }
  }

  /** @param peerHolds the peer's disk has this store up to this transaction */
  merge(transaction: Transaction, { part, records }: PartRecords, peerHolds: number): RankedMerged {
    const changed: Ranked[] = [];
    const ineffective: Ranked[] = [];
    const conflicts: string[] = [];
    for (const record of records) {
      const before = this.#existing(part, record);
      const order = before === undefined ? 1 : compareRanks(record, before);
      if (before !== undefined && order !== 0 && before.changed > peerHolds) {
        conflicts.push(record.key);
      }
      if (before !== undefined && order < 0) {
        const { epoch, counter, deletion: body } = before;
        const { key } = record;
        if (body !== null) ineffective.push({ key, epoch, counter, isDeleted: true, body });
        ineffective.push(record);
      }
      if (order <= 0) continue;
      this.#apply(transaction, part, record, before);
      const wasHere = before?.deleted === 0;
      (wasHere || !record.isDeleted ? changed : ineffective).push(record);
    }
    return { part, changed, ineffective, conflicts };
  }

  #existing(part: number, { key }: Ranked): ExistingKey | undefined {
    return this.#sql.existing.get(part, bytesOf(key));
  }

  #apply(
    { number, tombstones }: Transaction,
    part: number,
    { key, epoch, counter, isDeleted, body }: Ranked,
    before: ExistingKey | undefined,
  ): void {
    const bytes = bytesOf(key);
    const wasHere = before !== undefined && (tombstones === 'known' || before.id <= this.#apart);
    const leaves = tombstones === 'all' || wasHere;
    if (before?.deleted === 1) this.#count(part, -1, -bytes.length);
    if (isDeleted && !leaves) {
      this.#sql.delete.run(part, bytes);
      return;
    }
    if (isDeleted) this.#count(part, 1, bytes.length);
    this.#sql.put.run(part, bytes, epoch, counter, isDeleted ? 1 : 0, body, number);
  }

  #sizesOf(part: number): TombstoneSizes {
    const sizes = this.#tombstones.get(part) ?? this.#committed.get(part);
    return sizes ?? { part, count: 0, keyBytes: 0 };
  }

  #count(part: number, more: number, bytes: number): void {
    const { count, keyBytes } = this.#sizesOf(part);
    this.#tombstones.set(part, { part, count: count + more, keyBytes: keyBytes + bytes });
  }

  /** Called last in each transaction. Returns how many it dropped. */
  dropTombstones(peerHolds: number): number {
    if (!this.hasTombstones) return 0;
    const dropped = this.#sql.dropTombstones.all(peerHolds, TOMBSTONES_DROPPED);
    for (const { part, bytes } of dropped) this.#count(part, -1, -bytes);
    return dropped.length;
  }

  committed(): void {
    for (const [part, sizes] of this.#tombstones) {
      this.#committed.set(part, sizes);
      this.#untold.add(part);
    }
    this.#tombstones.clear();
  }

  rolledBack(): void {
    this.#tombstones.clear();
  }

  // ---------------------------------------------------------------- reads

  /** See `RankedStore.listRanked`. */
  list(part: number, after: string): Ranked[] {
    const records: Ranked[] = [];
    let bytes = 0;
    for (const row of this.#sql.list.iterate(part, bytesOf(after))) {
      const record = recordOf(row);
      records.push(record);
      bytes += packedSize(record);
      if (records.length === LISTED_RECORDS || bytes >= LISTED_BYTES) break;
    }
    return records;
  }

  /**
   * Records of complete transactions after one and up to another, or fewer, and how far they go: no
   * more once they have this many bytes, but those of one transaction in any case.
   */
  changed(
    after: number,
    upTo: number,
    bytesMax: number,
  ): {
    readonly parts: readonly PartRecords[];
    readonly bytes: number;
    readonly upTo: number;
  } {
    const records = new Map<number, Ranked[]>();
    let bytes = 0;
    let last = after;
    let end = upTo;
    for (const row of this.#sql.changed.iterate(after, upTo)) {
      if (last > after && bytes >= bytesMax && row.changed !== last) {
        end = last;
        break;
      }
      last = row.changed;
      const record = recordOf(row);
      const ofPart = records.get(row.part);
      if (ofPart === undefined) records.set(row.part, [record]);
      else ofPart.push(record);
      bytes += packedSize(record);
    }
    const parts = [...records].map(([part, found]) => ({ part, records: found }));
    return { parts: parts.sort((a, b) => a.part - b.part), bytes, upTo: end };
  }
}

function recordOf({ key, epoch, counter, deleted, body }: Row): Ranked {
  return { key: key.toString('latin1'), epoch, counter, isDeleted: deleted === 1, body };
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
