/**
 * The store port on SQLite's tables: transactions with their counts, reads, and upkeep of the file.
 * change-rows.ts has the changes.
 */
import type Database from 'better-sqlite3';

import { present } from '../../../core/assert.js';
import { codedReason } from '../../../wire/failure.js';
import { unpackFailure } from '../../failure-codec.js';
import { storedContent } from '../../fields.js';
import type { PartRecords, Ranked, RankedMerged } from '../../ranked.js';
import type { NodeRecovered } from '../../node-store.js';
import { merge } from '../../merge.js';
import type { StoreRecord } from '../../record-codec.js';
import type {
  Change,
  ChangeResult,
  Chunk,
  Found,
  Merged,
  ReadCursor,
  RequestUuid,
  StoreCounts,
  StoredContent,
  Transaction,
} from '../../store.js';
import { type ContentCounts, DeltaSum, type Tally } from '../../tally.js';
import { failureOf } from '../file/sqlite-errors.js';
import { ChangeRows, closersOf, type RunningCounts } from './change-rows.js';
import { countContent } from './content-counts.js';
import { MergeRows } from './merge-rows.js';
import type { PendingRow } from '../../thread/request-messages.js';
import { readChunk } from './changed-records.js';
import { RankedRows } from './ranked-rows.js';
import { DEAD, REPLIED } from '../file/schema.js';
import {
  existingOf,
  type Ledger,
  type LogFrames,
  prepareStatements,
  type Statements,
} from './statements.js';

/**
 * Number of pages in the log from which on they are copied into the file. (Measured: the best p99.)
 */
const CHECKPOINT_FRAMES = 200;

/** Free pages kept for reuse: at least this many, and this share of the file. */
const FREE_PAGES_RETAINED = 4096;
const FREE_SHARE_RETAINED = 1 / 8;
/** Pages released at once, which takes a few milliseconds. */
const SHRINK_PAGES = 128;

/** Numbers of requests recorded as given before they are, so that few commits write the ledger. */
const NUMBERS_RESERVED = 4096;

/** Maximum number of tombstones that are dropped in one transaction. */
const TOMBSTONES_DROPPED = 1000;
/** Number of requests that are examined at once for pending ones: a few milliseconds. */
const SLICE_REQUESTS = 16_384;
/** Transactions of the n-th opening of a store have numbers above n times this. */
const OPENING_TRANSACTIONS = 2 ** 32;

/**
 * What the peer may have of a store that serves without it, in no pair or without replication: what it ends of
 * that leaves a tombstone. Zeros: nothing, or the node is one of a pair.
 */
interface Apart {
  /** Requests that were born up to this transaction. */
  readonly transaction: number;
  /** Ranked records up to this id. */
  readonly ranked: number;
}

interface Listing {
  readonly requests: readonly PendingRow[];
  readonly next: number | null;
}

export class Tables {
  readonly #db: Database.Database;
  readonly #sql: Statements;
  readonly #pageBytes: number;
  /** The counts as of the last commit, like the two fields that follow. */
  readonly #tally: Tally;
  #nextNumber: number;
  #tombstones: number;
  /** The ledger as the file has it after the changes so far. */
  #ledger: Ledger;
  #counts: StoreCounts;
  #log: LogFrames = [0, 0, 0];
  readonly ranked: RankedRows;
  /** The last batch failed: the next one writes something in any case, to show whether it can. */
  #mustWrite = false;
  /** The last committed transaction. */
  #last: number;
  /** The peer's disk has this store up to this transaction. */
  #peerHolds = 0;
  readonly #isNumbered: boolean;
  readonly #apart: Apart;

  /**
   * @param isPaired the node is one of a pair, and keeps what it ends until its peer knows
   * @param earlier the tables of the same opening, over another connection
   */
  constructor(path: string, db: Database.Database, isPaired: boolean, earlier: Tables | null) {
    this.#db = db;
    ({ tally: this.#tally, tombstones: this.#tombstones } = countContent(db));
    this.#sql = prepareStatements(db);
    this.#pageBytes = present(this.#sql.pageBytes.get(), 'a page size');
    this.#ledger = present(this.#sql.ledger.get(), 'a ledger');
    this.#nextNumber = earlier === null ? this.#ledger.nextNumber : earlier.#nextNumber;
    const [transaction = 0, ranked = 0] = isPaired ? [] : (this.#sql.apart.get() ?? []);
    this.#apart = earlier === null ? { transaction, ranked } : earlier.#apart;
    this.ranked = new RankedRows(db, this.#apart.ranked);
    this.#counts = this.#report(this.#tally.all);
    if (earlier === null) {
      this.#isNumbered = this.#countOpening(path);
      this.#last = this.#ledger.openings * OPENING_TRANSACTIONS;
    } else {
      this.#isNumbered = earlier.#isNumbered;
      this.#last = earlier.#last;
      this.#peerHolds = earlier.#peerHolds;
    }
  }

  /** @returns false if there is no room to record it; the first commit then does */
  #countOpening(path: string): boolean {
    const before = this.#ledger;
    this.#ledger = { ...before, openings: before.openings + 1 };
    try {
      this.#begin();
      this.#writeLedger(this.#nextNumber + NUMBERS_RESERVED);
      const { transaction, ranked } = this.#apart;
      if (transaction === 0) this.#sql.endApart.run();
      else this.#sql.setApart.run(transaction, ranked);
      this.#sql.commit.run();
      return true;
    } catch (error) {
      this.#ledger = { ...this.#ledger, nextNumber: before.nextNumber };
      this.#rollBack();
      if (failureOf(path, error).kind !== 'full') throw error;
      this.#mustWrite = true;
      return false;
    }
  }

  /** What the store reports when it is opened. */
  get recovered(): NodeRecovered {
    return {
      counts: this.#counts,
      newestAt: this.#sql.newest.get() ?? 0,
      storeId: present(this.#sql.storeId.get(), 'a store id'),
      firstTransaction: this.#last + 1,
      holds: this.#sql.peer.get() ?? null,
      isNumbered: this.#isNumbered,
      epochMax: this.ranked.epochMax,
      parts: this.ranked.parts,
    };
  }

  /** What the store holds, as of the last commit. */
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

  /** Like `commit`, of a part of ranked records. */
  commitRanked(transaction: Transaction, part: number, changes: readonly Ranked[]): void {
    this.#transact(transaction, () => {
      this.ranked.change(transaction, part, changes);
      return changes;
    });
  }

  /** Like `commit`. @returns `null`, with nothing changed, if a body is missing */
  merge(
    transaction: Transaction,
    requests: readonly StoreRecord[],
    parts: readonly PartRecords[],
    isFromActive: boolean,
  ): { readonly merged: Merged; readonly parts: readonly RankedMerged[] } | null {
    return this.#transact(transaction, (changes, counts) => {
      const rows = new MergeRows(this.#sql, counts, transaction.number, (uuid, keyUntil) => {
        changes.remove(uuid, keyUntil);
      });
      const merged = merge(rows, requests, isFromActive);
      if (merged === null) return null;
      const peerHolds = Math.max(this.#peerHolds, transaction.peerHolds);
      const ofParts = parts.map((part) => this.ranked.merge(transaction, part, peerHolds));
      return { merged, parts: ofParts };
    });
  }

  #transact<Result>(
    transaction: Transaction,
    work: (rows: ChangeRows, counts: RunningCounts) => Result | null,
  ): Result | null {
    const ledger = this.#ledger;
    const counts: RunningCounts = {
      nextNumber: this.#nextNumber,
      tombstones: this.#tombstones,
      deltas: new DeltaSum(),
    };
    try {
      this.#begin();
      const result = work(
        new ChangeRows(this.#sql, counts, transaction, this.#apart.transaction),
        counts,
      );
      if (result === null) {
        this.ranked.rolledBack();
        this.#rollBack();
        return null;
      }
      this.#applyPairData(transaction, counts);
      // A number that is never used does no harm.
      if (this.#mustWrite) counts.nextNumber++;
      if (this.#mustWrite || counts.nextNumber > this.#ledger.nextNumber) {
        this.#writeLedger(counts.nextNumber + NUMBERS_RESERVED);
      }
      this.#sql.commit.run();
      this.ranked.committed();
      this.#nextNumber = counts.nextNumber;
      this.#tombstones = counts.tombstones;
      this.#counts = this.#report(this.#tally.apply(counts.deltas.all));
      this.#mustWrite = false;
      this.#last = transaction.number;
      return result;
    } catch (error) {
      this.#ledger = ledger;
      this.ranked.rolledBack();
      this.#mustWrite = true;
      this.#rollBack();
      throw error;
    }
  }

  /** The pair's own data in a transaction. */
  #applyPairData({ holds, peerHolds }: Transaction, counts: RunningCounts): void {
    if (holds !== null) this.#sql.setPeer.run(holds.storeId, holds.upTo, holds.bodiesUpTo);
    this.#peerHolds = Math.max(this.#peerHolds, peerHolds);
    counts.tombstones -= this.#dropTombstones(counts.tombstones).ofRequests;
  }

  /** Drops some of those that the peer's disk has. @param ofRequests how many tombstones there are */
  #dropTombstones(ofRequests: number): { readonly ranked: number; readonly ofRequests: number } {
    if (this.#peerHolds === 0) return { ranked: 0, ofRequests: 0 };
    const ranked = this.ranked.dropTombstones(this.#peerHolds);
    if (ofRequests === 0) return { ranked, ofRequests };
    const { changes } = this.#sql.dropTombstones.run(this.#peerHolds, TOMBSTONES_DROPPED);
    return { ranked, ofRequests: changes };
  }

  /** If SQLite may begin the log anew, this transaction is its first. */
  #begin(): void {
    this.#sql.begin.run();
    const [, pages, copied] = this.#log;
    if (pages === copied) this.#markLog(true);
  }

  #markLog(isInService: boolean): void {
    const cookie = present(this.#sql.cookie.get(), 'a schema cookie');
    this.#sql.markLog.run(isInService ? 1 : 0, cookie);
  }

  #writeLedger(nextNumber: number): void {
    const { openings } = this.#ledger;
    this.#sql.setLedger.run(nextNumber, openings);
    this.#ledger = { nextNumber, openings };
  }

  #rollBack(): void {
    // After some failures, SQLite has already rolled back.
    if (this.#db.inTransaction) this.#sql.rollback.run();
  }

  #report(content: ContentCounts): StoreCounts {
    const pages = (this.#sql.pageCount.get() ?? 0) - (this.#sql.freePages.get() ?? 0);
    return { ...content, bytes: pages * this.#pageBytes, nextNumber: this.#nextNumber };
  }

  // ---------------------------------------------------------------- upkeep

  /**
   * Called before the file is closed: after a crash, the numbers that were reserved are skipped, and the log has
   * what the file has not.
   */
  close(): void {
    // (The log may begin anew with this transaction, whose mark is then the next one.)
    this.#sql.begin.run();
    if (!this.#mustWrite) this.#writeLedger(this.#nextNumber);
    this.#markLog(false);
    this.#sql.commit.run();
  }

  /** Copies the log into the file if it is long enough; the log is then written from its start. */
  checkpoint(frames: number = CHECKPOINT_FRAMES): void {
    const [, pages, copied] = (this.#log = present(this.#sql.logFrames.get(), 'a log'));
    if (pages - copied < frames) return;
    const after = present(this.#sql.checkpoint.get(), 'a log');
    // While another process copies it, nothing is told of it.
    if (after[1] >= 0) this.#log = after;
  }

  /** Cuts the log to nothing if all of it is in the file, and nobody reads it at this moment. */
  emptyLog(): void {
    const [, pages, copied] = this.#log;
    if (pages === 0 || copied < pages) return;
    const waits = Number(this.#db.pragma('busy_timeout', { simple: true }));
    try {
      // Nothing is stored while this waits for a reader.
      this.#db.pragma('busy_timeout = 0');
      if (!this.#truncateLog()) return;
      // Without a log the file has everything, which its mark has to say.
      this.#sql.begin.run();
      this.#markLog(false);
      this.#sql.commit.run();
      this.#truncateLog();
    } catch (error) {
      this.#rollBack();
      throw error;
    } finally {
      this.#db.pragma(`busy_timeout = ${waits}`);
    }
  }

  /** @returns false if somebody reads it at this moment */
  #truncateLog(): boolean {
    const [after] = this.#db.pragma('wal_checkpoint(TRUNCATE)') as { readonly busy: number }[];
    const isEmpty = after?.busy === 0;
    if (isEmpty) this.#log = [0, 0, 0];
    return isEmpty;
  }

  /** Bytes in the log, and how many of them are in the file as well, after the last `checkpoint`. */
  get log(): { readonly bytes: number; readonly copied: number } {
    const [, pages, copied] = this.#log;
    return { bytes: pages * this.#pageBytes, copied: copied * this.#pageBytes };
  }

  /**
   * Drops some tombstones that the peer's disk has: no other transaction may come for long.
   * @returns false if there were none
   */
  dropTombstones(): boolean {
    const hasNone = this.#tombstones === 0 && !this.ranked.hasTombstones;
    // Without a peer that has them, none may go: no transaction is needed to find that out.
    if (hasNone || this.#peerHolds === 0) return false;
    try {
      this.#begin();
      const { ranked, ofRequests } = this.#dropTombstones(this.#tombstones);
      this.#sql.commit.run();
      this.ranked.committed();
      this.#tombstones -= ofRequests;
      return ranked + ofRequests > 0;
    } catch (error) {
      this.ranked.rolledBack();
      this.#rollBack();
      throw error;
    }
  }

  /**
   * Releases part of the file if much of it waits to be reused.
   * @returns false if there is nothing to release
   */
  shrink(): boolean {
    const pages = this.#sql.pageCount.get() ?? 0;
    const free = this.#sql.freePages.get() ?? 0;
    const retained = Math.max(FREE_PAGES_RETAINED, pages * FREE_SHARE_RETAINED);
    if (free <= retained) return false;
    try {
      this.#begin();
      const moved = Math.min(free - retained, SHRINK_PAGES);
      for (let page = 0; page < moved; page++) this.#sql.vacuum.run();
      this.#sql.commit.run();
    } catch (error) {
      this.#rollBack();
      throw error;
    }
    return true;
  }

  // ---------------------------------------------------------------- reads

  body(uuid: RequestUuid): StoredContent | null {
    const row = this.#sql.body.get(uuid);
    if (row === undefined) return null;
    return storedContent(...row);
  }

  lookUp(uuid: RequestUuid, replyBytesMax: number): Found {
    const existing = existingOf(this.#sql, uuid);
    if (existing === undefined) {
      const by = closersOf(this.#sql, { tombstones: this.#tombstones }, uuid);
      return by.length === 0 ? { state: 'absent' } : { state: 'closed', by };
    }
    const { number, owner, shared, state, replyBytes } = existing;
    const whose = { owner, isShared: shared === 1 };
    if (state === REPLIED) {
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
    return failure !== null && codedReason(failure) === reason ? packed : null;
  }

  read(place: ReadCursor, requestsMax: number, bytesMax: number): Chunk {
    return readChunk(this.#sql, this.ranked, this.#last, place, requestsMax, bytesMax);
  }

  /** See `Store.list`. Nothing is read if there are none. */
  #limits(): readonly PendingRow[] {
    const { limits } = this.counts;
    return limits === 0 ? [] : this.#sql.limits.all(limits);
  }

  /**
   * Pending requests in order of their numbers, found in one slice of all requests: no index has
   * them, because every receipt would write it.
   * @param isFirst it is a slice of the first list: what is found has the limits before it
   * @returns in `next` where to continue if the slice has none
   */
  pending(after: number, most: number, isFirst: boolean): Listing {
    const end = this.#sql.endOfSlice.get(after, SLICE_REQUESTS - 1);
    const requests = this.#sql.pending.all(after, end ?? Number.MAX_SAFE_INTEGER, most);
    if (requests.length === 0) return { requests, next: end ?? null };
    return { requests: isFirst ? [...this.#limits(), ...requests] : requests, next: null };
  }
}
