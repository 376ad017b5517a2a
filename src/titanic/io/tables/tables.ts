/**
 * The store port on SQLite's tables: transactions with their counts, reads, and upkeep of the file.
 * change-rows.ts has the changes.
 */
import type Database from 'better-sqlite3';

import { present } from '../../../core/assert.js';
import { failureLine } from '../../../wire/failure.js';
import { unpackFailure } from '../../store/failure-codec.js';
import { merge } from '../../store/merge.js';
import type { StoreRecord } from '../../store/record-codec.js';
import type {
  Change,
  ChangeResult,
  Chunk,
  Format,
  Found,
  Merged,
  ReadPlace,
  Recovered,
  RequestUuid,
  StoreCounts,
  Transaction,
} from '../../store/store.js';
import { failureOf } from '../file/sqlite-errors.js';
import { ChangeRows, closersOf, type KeptCounts } from './change-rows.js';
import { MergeRows } from './merge-rows.js';
import type { PendingRow } from '../messages.js';
import { OwnerCounts } from './owner-counts.js';
import { readChunk } from './changed-records.js';
import { DEAD, REPLIED } from '../file/schema.js';
import { ServiceCounts } from './service-counts.js';
import { prepareStatements, type Statements, type Tally } from './statements.js';

/**
 * Number of pages in the log from which on they are copied into the file. (Measured: the best p99.)
 */
const CHECKPOINT_FRAMES = 200;

/** Free pages kept for reuse: at least this many, and this share of the file. */
const FREE_PAGES_KEPT = 4096;
const FREE_SHARE_KEPT = 1 / 8;
/** Pages released at once, which takes a few milliseconds. */
const SHRINK_PAGES = 128;

/** Maximum number of tombstones that are dropped in one transaction. */
const TOMBSTONES_DROPPED = 1000;
/** Transactions of the n-th opening of a store have numbers above n times this. */
const OPENING_TRANSACTIONS = 2 ** 32;

export class Tables {
  readonly #db: Database.Database;
  readonly #sql: Statements;
  readonly #pageBytes: number;
  /** As of the changes so far in the current transaction. */
  #tally: KeptCounts['tally'];
  #counts: StoreCounts;
  readonly #owners: OwnerCounts;
  readonly #services: ServiceCounts;
  /** The last batch failed: the next one writes something in any case, to show whether it can. */
  #mustWrite = false;
  /** The last committed transaction. */
  #last: number;
  /** The peer's disk has this store up to this transaction. */
  #peerHolds = 0;
  readonly #isNumbered: boolean;

  /** @param earlier the tables of the same opening, over another connection */
  constructor(path: string, db: Database.Database, earlier: Tables | null) {
    this.#db = db;
    this.#sql = prepareStatements(db);
    this.#pageBytes = present(this.#sql.pageBytes.get(), 'a page size');
    this.#tally = present(this.#sql.tally.get(), 'a ledger');
    this.#owners = new OwnerCounts(this.#sql);
    this.#services = new ServiceCounts(this.#sql);
    this.#counts = this.#count(this.#owners.all, this.#services.all);
    if (earlier === null) {
      this.#isNumbered = this.#countOpening(path);
      this.#last = this.#tally.openings * OPENING_TRANSACTIONS;
    } else {
      this.#isNumbered = earlier.#isNumbered;
      this.#last = earlier.#last;
      this.#peerHolds = earlier.#peerHolds;
    }
  }

  /** @returns false if there is no room to record it; the first commit then does */
  #countOpening(path: string): boolean {
    this.#tally.openings++;
    try {
      this.#sql.begin.run();
      this.#writeTally();
      this.#sql.commit.run();
      return true;
    } catch (error) {
      this.#rollBack();
      if (failureOf(path, error).kind !== 'full') throw error;
      this.#mustWrite = true;
      return false;
    }
  }

  /** What the store reports when it is opened. */
  get recovered(): Recovered {
    return {
      counts: this.#counts,
      storeId: present(this.#sql.storeId.get(), 'a store id'),
      firstTransaction: this.#last + 1,
      holds: this.#sql.peer.get() ?? null,
      isNumbered: this.#isNumbered,
    };
  }

  /** As of the last commit. */
  get counts(): StoreCounts {
    return this.#counts;
  }

  /** Makes the changes in one transaction: all of them or, if it throws, none. */
  commit(transaction: Transaction, changes: readonly Change[]): ChangeResult[] {
    const results = this.#transact(transaction, (rows) =>
      changes.map((change) => rows.apply(change)),
    );
    return present(results, 'changes end a transaction');
  }

  /** Like `commit`. @returns `null`, with nothing changed, if a body is missing */
  merge(
    transaction: Transaction,
    records: readonly StoreRecord[],
    isFromActive: boolean,
  ): Merged | null {
    return this.#transact(transaction, (changes, counts) => {
      const rows = new MergeRows(this.#sql, counts, transaction.number, (uuid, keyUntil) => {
        changes.remove(uuid, keyUntil);
      });
      return merge(rows, records, isFromActive);
    });
  }

  #transact<Result>(
    transaction: Transaction,
    work: (rows: ChangeRows, counts: KeptCounts) => Result | null,
  ): Result | null {
    const before = this.#tally;
    this.#tally = { ...before };
    const kept = { tally: this.#tally, owners: this.#owners, services: this.#services };
    try {
      this.#sql.begin.run();
      const result = work(new ChangeRows(this.#sql, kept, transaction), kept);
      if (result === null) {
        this.#tally = before;
        this.#owners.rolledBack();
        this.#services.ended();
        this.#rollBack();
        return null;
      }
      this.#applyPairData(transaction);
      // A number that is never used does no harm.
      if (this.#mustWrite) this.#tally.nextNumber++;
      if (!isSameTally(this.#tally, before)) this.#writeTally();
      const counts = this.#count(this.#owners.write(), this.#services.write());
      this.#sql.commit.run();
      this.#owners.committed();
      this.#services.ended();
      this.#counts = counts;
      this.#mustWrite = false;
      this.#last = transaction.number;
      return result;
    } catch (error) {
      this.#tally = before;
      this.#owners.rolledBack();
      this.#services.ended();
      this.#mustWrite = true;
      this.#rollBack();
      throw error;
    }
  }

  /** The pair's own data in a transaction. */
  #applyPairData({ holds, peerHolds }: Transaction): void {
    if (holds !== null) this.#sql.setPeer.run(holds.storeId, holds.upTo, holds.bodiesUpTo);
    this.#peerHolds = Math.max(this.#peerHolds, peerHolds);
    if (this.#peerHolds === 0 || this.#tally.tombstones === 0) return;
    const { changes } = this.#sql.dropTombstones.run(this.#peerHolds, TOMBSTONES_DROPPED);
    this.#tally.tombstones -= changes;
  }

  #writeTally(): void {
    const { nextNumber, pending, replied, dead, tombstones, openings } = this.#tally;
    this.#sql.setTally.run(nextNumber, pending, replied, dead, tombstones, openings);
  }

  #rollBack(): void {
    // After some failures, SQLite has already rolled back.
    if (this.#db.inTransaction) this.#sql.rollback.run();
  }

  #count(owners: StoreCounts['owners'], services: StoreCounts['services']): StoreCounts {
    const { nextNumber, pending, replied, dead } = this.#tally;
    const pages = (this.#sql.pageCount.get() ?? 0) - (this.#sql.freePages.get() ?? 0);
    const bytes = pages * this.#pageBytes;
    return { pending, replied, dead, bytes, nextNumber, owners, services };
  }

  // ---------------------------------------------------------------- upkeep

  /** Copies the log into the file if it is long enough; the log is then written from its start. */
  checkpoint(frames: number = CHECKPOINT_FRAMES): void {
    const { log, checkpointed } = present(this.#sql.logFrames.get(), 'a log');
    if (log - checkpointed >= frames) this.#sql.checkpoint.run();
  }

  /**
   * Releases part of the file if much of it waits to be reused.
   * @returns false if there is nothing to release
   */
  shrink(): boolean {
    const pages = this.#sql.pageCount.get() ?? 0;
    const free = this.#sql.freePages.get() ?? 0;
    const kept = Math.max(FREE_PAGES_KEPT, pages * FREE_SHARE_KEPT);
    if (free <= kept) return false;
    try {
      this.#sql.begin.run();
      const moved = Math.min(free - kept, SHRINK_PAGES);
      for (let page = 0; page < moved; page++) this.#sql.vacuum.run();
      this.#sql.commit.run();
    } catch (error) {
      this.#rollBack();
      throw error;
    }
    return true;
  }

  // ---------------------------------------------------------------- reads

  body(uuid: RequestUuid): Buffer | null {
    return this.#sql.body.get(uuid) ?? null;
  }

  lookUp(uuid: RequestUuid, replyBytesMax: number): Found {
    const standing = this.#sql.standing.get(uuid);
    if (standing === undefined) {
      const by = closersOf(this.#sql, this.#tally, uuid);
      return by.length === 0 ? { state: 'absent' } : { state: 'closed', by };
    }
    const { number, owner, shared, service, state } = standing;
    const whose = { owner, isShared: shared === 1, service };
    if (state === REPLIED) {
      const replyBytes = present(this.#sql.replyBytes.get(number), 'a reply');
      const isRead = replyBytes <= replyBytesMax;
      const reply = isRead ? present(this.#sql.reply.get(number), 'a reply') : null;
      return { state: 'replied', reply, replyBytes, ...whose };
    }
    if (state === DEAD) {
      const reason = present(this.#sql.reason.get(number), 'a reason');
      return { state: 'dead', reason, failure: this.#failureOf(number, reason), ...whose };
    }
    return { state: 'pending', ...whose };
  }

  /** What the worker of a dead request's last attempt reported, if it died of that. */
  #failureOf(number: number, reason: string): Buffer | null {
    const packed = this.#sql.lastFailure.get(number) ?? null;
    const failure = unpackFailure(packed);
    return failure !== null && failureLine(failure) === reason ? packed : null;
  }

  read(place: ReadPlace, requestsMax: number, bytesMax: number, format: Format): Chunk {
    return readChunk(this.#sql, this.#last, place, requestsMax, bytesMax, format);
  }

  /** Pending requests in order of their numbers. */
  pending(after: number, most: number): PendingRow[] {
    return this.#sql.pending.all(after, most);
  }
}

function isSameTally(a: Tally, b: Tally): boolean {
  return (
    a.nextNumber === b.nextNumber &&
    a.pending === b.pending &&
    a.replied === b.replied &&
    a.dead === b.dead &&
    a.tombstones === b.tombstones
  );
}
