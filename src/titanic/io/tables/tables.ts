/** The changes of the store port on SQLite's tables, within a transaction that the caller began. */
import type Database from 'better-sqlite3';

import { present } from '../../../core/assert.js';
import { failureLine } from '../../../wire/failure.js';
import { isOnceKey } from '../../../wire/tsp.js';
import { unpackFailure } from '../../store/failure-codec.js';
import { joinExtra } from '../../store/fields.js';
import { merge } from '../../store/merge.js';
import type { StoreRecord } from '../../store/record-codec.js';
import {
  ATTEMPTS_KEPT,
  type Change,
  type ChangeResult,
  type Chunk,
  type Format,
  type Found,
  isEndedBy,
  isOpenTo,
  type Merged,
  NO_OWNER,
  type Owner,
  type ReadPlace,
  type Recovered,
  type RequestUuid,
  type StoreCounts,
  type StoredState,
  type Transaction,
} from '../../store/store.js';
import { failureOf } from '../file/sqlite-errors.js';
import { MergeRows } from './merge-rows.js';
import { DONE, PASSED, type PendingRow } from '../messages.js';
import { OwnerCounts } from './owner-counts.js';
import { readChunk } from './changed-records.js';
import { DEAD, PENDING, REPLIED } from '../file/schema.js';
import { ServiceCounts } from './service-counts.js';
import {
  insertAttempt,
  prepareStatements,
  type Standing,
  STATE_NAMES,
  type Statements,
  storedRequest,
  type Tally,
} from './statements.js';

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

export type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

type ChangeOf<Kind extends Change['kind']> = Extract<Change, { readonly kind: Kind }>;

export class Tables {
  readonly #db: Database.Database;
  readonly #sql: Statements;
  readonly #pageBytes: number;
  /** As of the changes so far in the current transaction. */
  #tally: Mutable<Tally>;
  #counts: StoreCounts;
  readonly #owners: OwnerCounts;
  readonly #services: ServiceCounts;
  /** The last batch failed: the next one writes something in any case, to show whether it can. */
  #mustWrite = false;
  /** The current transaction. */
  #transaction: Transaction = NO_TRANSACTION;
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
    const results = this.#transact(transaction, () => changes.map((change) => this.#apply(change)));
    return present(results, 'changes end a transaction');
  }

  /** Like `commit`. @returns `null`, with nothing changed, if a body is missing */
  merge(
    transaction: Transaction,
    records: readonly StoreRecord[],
    isFromActive: boolean,
  ): Merged | null {
    return this.#transact(transaction, () => {
      const { number } = transaction;
      const remove = (uuid: RequestUuid, keyUntil: number): void => {
        this.#remove(present(this.#sql.standing.get(uuid), 'a request to end'), uuid, keyUntil);
      };
      const kept = { tally: this.#tally, owners: this.#owners, services: this.#services };
      const rows = new MergeRows(this.#sql, kept, number, remove);
      return merge(rows, records, isFromActive);
    });
  }

  #transact<Result>(transaction: Transaction, work: () => Result | null): Result | null {
    const before = this.#tally;
    this.#tally = { ...before };
    this.#transaction = transaction;
    try {
      this.#sql.begin.run();
      const result = work();
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
      const by = this.#closers(uuid);
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

  // ---------------------------------------------------------------- changes

  #apply(change: Change): ChangeResult {
    const result = this.#step(change);
    const { extra } = change;
    const isStep = result.kind === 'done' || result.kind === 'retried';
    if (extra !== undefined && 'uuid' in change && isStep) {
      const known = this.#sql.standing.get(change.uuid)?.extra ?? null;
      this.#sql.setExtra.run(joinExtra(extra, known), change.uuid);
    }
    return result;
  }

  #step(change: Change): ChangeResult {
    switch (change.kind) {
      case 'accept':
        return this.#accept(change);
      case 'attempt':
        return this.#attempt(change);
      case 'reply':
        return this.#reply(change);
      case 'dead':
        return this.#dead(change);
      case 'close':
      case 'expire':
        return this.#end(change);
      case 'retry':
        return this.#retry(change);
      case 'sweep':
        return this.#sweep(change);
    }
  }

  #accept(change: ChangeOf<'accept'>): ChangeResult {
    const { request, body, key } = change;
    const closers = this.#closers(request.uuid);
    if (closers.some((by) => isEndedBy(by, request))) return PASSED;
    if (closers.length > 0) this.#dropTombstones(request.uuid);
    const isNumbered = request.number >= this.#tally.nextNumber;
    if (isNumbered) this.#tally.nextNumber = request.number + 1;
    const number = isNumbered ? request.number : this.#tally.nextNumber;
    const { number: changed } = this.#transaction;
    if (key !== null) {
      const standing = this.#sql.standing.get(request.uuid);
      if (standing !== undefined) return this.#acceptAgain(standing, change);
      // D16
      const { service, owner, acceptedAt } = request;
      const known = this.#sql.knownKey.get(service, key, owner, acceptedAt);
      if (known !== undefined) return { kind: 'known', uuid: known };
      this.#sql.setKey.run(service, key, owner, request.uuid, null, changed, null);
    }
    const { changes } = this.#sql.insertRequest.run(
      number,
      request.uuid,
      request.service,
      key,
      PENDING,
      request.generation,
      request.priority,
      request.acceptedAt,
      request.notBefore,
      request.expiresAt,
      request.maxAttempts,
      request.attempts,
      0,
      request.bodyBytes,
      changed,
      changed,
      request.owner,
      request.isShared ? 1 : 0,
      change.extra ?? null,
    );
    if (changes === 0) {
      const standing = present(this.#sql.standing.get(request.uuid), 'the request of this uuid');
      return this.#acceptAgain(standing, change);
    }
    if (!isNumbered) this.#tally.nextNumber++;
    this.#sql.insertBody.run(number, body);
    this.#enterState(request.service, 'pending', request.attempts);
    this.#owners.add(request.owner, 1, request.bodyBytes);
    return DONE;
  }

  /** The request is in the store: only a higher generation counts (D17). */
  #acceptAgain(standing: Standing, { request }: ChangeOf<'accept'>): ChangeResult {
    if (request.generation <= standing.generation) return PASSED;
    this.#leaveState(standing);
    this.#enterState(standing.service, 'pending', request.attempts);
    this.#sql.reopen.run(
      request.generation,
      request.notBefore,
      request.expiresAt,
      request.attempts,
      this.#transaction.number,
      standing.number,
    );
    return DONE;
  }

  #attempt(change: ChangeOf<'attempt'>): ChangeResult {
    const { uuid, generation, attempts, attempt, notBefore } = change;
    const standing = this.#sql.standing.get(uuid);
    if (standing === undefined || generation < standing.generation) return PASSED;
    const isAbove = standing.state === PENDING && attempts > standing.attempts;
    if (generation === standing.generation && !isAbove) return PASSED;
    this.#leaveState(standing);
    this.#enterState(standing.service, 'pending', attempts);
    const { number } = standing;
    const ordinal = standing.attemptsEver + 1;
    const { number: changed } = this.#transaction;
    this.#sql.setAttempt.run(generation, attempts, ordinal, notBefore, changed, number);
    insertAttempt(this.#sql, number, ordinal, attempt);
    if (ordinal > ATTEMPTS_KEPT) this.#sql.deleteAttempt.run(number, ordinal - ATTEMPTS_KEPT);
    return DONE;
  }

  #reply(change: ChangeOf<'reply'>): ChangeResult {
    const { uuid, generation, reply, worker, at, expiresAt } = change;
    const standing = this.#sql.standing.get(uuid);
    if (standing === undefined || generation < standing.generation) return PASSED;
    // D17: replied before dead, so a reply wins over a death.
    if (generation === standing.generation && standing.state === REPLIED) return PASSED;
    this.#leaveState(standing);
    this.#enterState(standing.service, 'replied', 0);
    const { number: changed } = this.#transaction;
    this.#sql.settle.run(REPLIED, generation, expiresAt, changed, standing.number);
    this.#sql.insertReply.run(standing.number, reply, worker, at);
    this.#owners.add(standing.owner, 0, reply.length);
    return DONE;
  }

  #dead(change: ChangeOf<'dead'>): ChangeResult {
    const { uuid, generation, reason, at, expiresAt } = change;
    const standing = this.#sql.standing.get(uuid);
    if (standing === undefined || generation < standing.generation) return PASSED;
    if (generation === standing.generation && standing.state !== PENDING) return PASSED;
    this.#leaveState(standing);
    this.#enterState(standing.service, 'dead', 0);
    const { number: changed } = this.#transaction;
    this.#sql.settle.run(DEAD, generation, expiresAt, changed, standing.number);
    this.#sql.insertDeath.run(standing.number, reason, at);
    return DONE;
  }

  #end({ uuid, keyUntil, by }: ChangeOf<'close' | 'expire'>): ChangeResult {
    const standing = this.#sql.standing.get(uuid);
    const { tombstones } = this.#transaction;
    if (standing !== undefined) {
      const { owner, shared, service } = standing;
      // D71
      if (!isOpenTo(by, { owner, isShared: shared === 1 })) {
        return { kind: 'denied', owner, service };
      }
      this.#remove(standing, uuid, keyUntil);
      if (tombstones !== 'none') this.#putTombstone(uuid, keyUntil, NO_OWNER);
      return DONE;
    }
    if (tombstones !== 'all') return PASSED;
    const closers = this.#closers(uuid);
    if (closers.includes(NO_OWNER) || closers.includes(by)) return PASSED;
    if (by === NO_OWNER && closers.length > 0) this.#dropTombstones(uuid);
    this.#putTombstone(uuid, keyUntil, by);
    return DONE;
  }

  #retry({ uuid, generation, at, expiresAt }: ChangeOf<'retry'>): ChangeResult {
    const standing = this.#sql.standing.get(uuid);
    if (standing === undefined || generation <= standing.generation) return PASSED;
    this.#leaveState(standing);
    this.#enterState(standing.service, 'pending', 0);
    const { number: changed } = this.#transaction;
    this.#sql.reopen.run(generation, at, expiresAt, 0, changed, standing.number);
    const row = present(this.#sql.request.get(standing.number), 'the request that is retried');
    return { kind: 'retried', request: storedRequest(row) };
  }

  #sweep({ now, keyUntil, most }: ChangeOf<'sweep'>): ChangeResult {
    const over = this.#sql.over.all(now, most + 1);
    const { tombstones } = this.#transaction;
    let replied = 0;
    let dead = 0;
    const swept = new Map<string, number>();
    for (const { uuid, ...standing } of over.slice(0, most)) {
      if (standing.state === REPLIED) replied++;
      else dead++;
      const name = standing.service.toString('latin1');
      swept.set(name, (swept.get(name) ?? 0) + 1);
      this.#remove(standing, uuid, keyUntil);
      if (tombstones !== 'none') this.#putTombstone(uuid, keyUntil, NO_OWNER);
    }
    // The other store may still have them, and would refuse a request that this one accepts.
    const forgotten = tombstones === 'all' ? [] : this.#sql.forgettable.all(now, most + 1);
    for (const { service, key, owner } of forgotten.slice(0, most)) {
      this.#sql.deleteKey.run(service, key, owner);
    }
    const more = over.length > most || forgotten.length > most;
    const services = [...swept].map(([name, count]) => ({
      service: Buffer.from(name, 'latin1'),
      count,
    }));
    return { kind: 'swept', replied, dead, services, more };
  }

  // ---------------------------------------------------------------- parts

  #remove(standing: Standing, uuid: RequestUuid, keyUntil: number): void {
    this.#leaveState(standing);
    const { number, service, key, owner } = standing;
    this.#owners.add(owner, -1, -standing.bodyBytes);
    if (key !== null) {
      const { number: changed } = this.#transaction;
      if (isOnceKey(key)) this.#sql.forgetKey.run(service, key, owner, uuid);
      else this.#sql.rememberKey.run(keyUntil, changed, service, key, owner, uuid);
    }
    if (standing.attemptsEver > 0) this.#sql.deleteAttempts.run(number);
    this.#sql.deleteBody.run(number);
    this.#sql.deleteRequest.run(number);
  }

  /** Who closed it, according to its tombstones. */
  #closers(uuid: RequestUuid): readonly Owner[] {
    if (this.#tally.tombstones === 0) return [];
    return this.#sql.tombstonesOf.all(uuid).map(({ by }) => by);
  }

  #putTombstone(uuid: RequestUuid, keyUntil: number, by: Owner): void {
    this.#sql.setTombstone.run(uuid, keyUntil, this.#transaction.number, by, null);
    this.#tally.tombstones++;
  }

  #dropTombstones(uuid: RequestUuid): void {
    this.#tally.tombstones -= this.#sql.dropTombstonesOf.run(uuid).changes;
  }

  /** A request of the service enters this state. */
  #enterState(service: Buffer, state: StoredState, attempts: number): void {
    this.#tally[state]++;
    this.#services.add(service, state, attempts, 1);
  }

  /** Removes what belongs only to its current state. */
  #leaveState({ state, number, owner, service, attempts }: Standing): void {
    const name = STATE_NAMES[state] ?? 'pending';
    this.#tally[name]--;
    this.#services.add(service, name, attempts, -1);
    if (state === REPLIED) {
      this.#owners.add(owner, 0, -(this.#sql.replyBytes.get(number) ?? 0));
      this.#sql.deleteReply.run(number);
    } else if (state === DEAD) {
      this.#sql.deleteDeath.run(number);
    }
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

const NO_TRANSACTION: Transaction = { number: 0, tombstones: 'none', holds: null, peerHolds: 0 };
