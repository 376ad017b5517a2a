/** The changes of the store port on SQLite's tables, inside of a transaction that the caller has. */
import type Database from 'better-sqlite3';

import { present } from '../../core/assert.js';
import { isOnceKey } from '../../wire/tsp.js';
import {
  ATTEMPTS_KEPT,
  type Change,
  type ChangeResult,
  type Found,
  type RequestUuid,
  type StoreCounts,
} from '../store.js';
import { DONE, PASSED, type PendingRow } from './messages.js';
import { DEAD, PENDING, REPLIED } from './schema.js';
import {
  prepareStatements,
  type Standing,
  type Statements,
  storedRequest,
  type Tally,
} from './statements.js';

/** Pages in the log from which on they are copied into the file. (Measured: the best p99.) */
const CHECKPOINT_FRAMES = 200;

/** Free pages that stay for reuse: at least so many, and this share of the file. */
const FREE_PAGES_KEPT = 4096;
const FREE_SHARE_KEPT = 1 / 8;
/** Pages given back at once: a few milliseconds. */
const SHRINK_PAGES = 128;

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

type ChangeOf<Kind extends Change['kind']> = Extract<Change, { readonly kind: Kind }>;

export class Tables {
  readonly #db: Database.Database;
  readonly #sql: Statements;
  readonly #pageBytes: number;
  /** As it is after the changes so far of the present transaction. */
  #tally: Mutable<Tally>;
  #counts: StoreCounts;
  /** The last batch failed: the next one writes something in any case, and so shows whether it can. */
  #hasToProve = false;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#sql = prepareStatements(db);
    this.#pageBytes = present(this.#sql.pageBytes.get(), 'a page size');
    this.#tally = present(this.#sql.tally.get(), 'a ledger');
    this.#counts = this.#count();
  }

  get nextNumber(): number {
    return this.#tally.nextNumber;
  }

  /** As of the last commit. */
  get counts(): StoreCounts {
    return this.#counts;
  }

  /** Makes the changes in a transaction of their own: all of them or, if it throws, none. */
  commit(changes: readonly Change[]): ChangeResult[] {
    const before = this.#tally;
    this.#tally = { ...before };
    try {
      this.#sql.begin.run();
      const results = changes.map((change) => this.#apply(change));
      // A number that is never given does no harm.
      if (this.#hasToProve) this.#tally.nextNumber++;
      if (!isSameTally(this.#tally, before)) {
        const { nextNumber, pending, replied, dead } = this.#tally;
        this.#sql.setTally.run(nextNumber, pending, replied, dead);
      }
      const counts = this.#count();
      this.#sql.commit.run();
      this.#counts = counts;
      this.#hasToProve = false;
      return results;
    } catch (error) {
      this.#tally = before;
      this.#hasToProve = true;
      this.#rollBack();
      throw error;
    }
  }

  #rollBack(): void {
    // SQLite has done so by itself after some failures.
    if (this.#db.inTransaction) this.#sql.rollback.run();
  }

  #count(): StoreCounts {
    const { pending, replied, dead } = this.#tally;
    const pages = (this.#sql.pageCount.get() ?? 0) - (this.#sql.freePages.get() ?? 0);
    return { pending, replied, dead, bytes: pages * this.#pageBytes };
  }

  // ---------------------------------------------------------------- upkeep

  /** Copies the log into the file, if there is as much of it; it is written from its start then. */
  checkpoint(frames: number = CHECKPOINT_FRAMES): void {
    const { log, checkpointed } = present(this.#sql.logFrames.get(), 'a log');
    if (log - checkpointed >= frames) this.#sql.checkpoint.run();
  }

  /**
   * Gives back some of the file, if much of it waits to be reused.
   * @returns false if there is nothing to give back
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

  lookUp(uuid: RequestUuid): Found {
    const standing = this.#sql.standing.get(uuid);
    if (standing === undefined) return { state: 'absent' };
    const { number } = standing;
    if (standing.state === REPLIED) {
      return { state: 'replied', reply: present(this.#sql.reply.get(number), 'a reply') };
    }
    if (standing.state === DEAD) {
      return { state: 'dead', reason: present(this.#sql.reason.get(number), 'a reason') };
    }
    return { state: 'pending' };
  }

  /** Pending requests in the order of their numbers. */
  pending(after: number, most: number): PendingRow[] {
    return this.#sql.pending.all(after, most);
  }

  // ---------------------------------------------------------------- changes

  #apply(change: Change): ChangeResult {
    switch (change.kind) {
      case 'accept':
        return this.#accept(change);
      case 'attempt':
        return this.#attempt(change);
      case 'reply':
        return this.#reply(change);
      case 'dead':
        return this.#die(change);
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
    if (request.number >= this.#tally.nextNumber) this.#tally.nextNumber = request.number + 1;
    if (key !== null) {
      const standing = this.#sql.standing.get(request.uuid);
      if (standing !== undefined) return this.#acceptAgain(standing, change);
      // D16
      const known = this.#sql.knownKey.get(request.service, key, request.acceptedAt);
      if (known !== undefined) return { kind: 'known', uuid: known };
      this.#sql.setKey.run(request.service, key, request.uuid);
    }
    const { changes } = this.#sql.insertRequest.run(
      request.number,
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
      request.bodyBytes,
    );
    if (changes === 0) {
      const standing = present(this.#sql.standing.get(request.uuid), 'the request of this uuid');
      return this.#acceptAgain(standing, change);
    }
    this.#sql.insertBody.run(request.number, body);
    this.#tally.pending++;
    return DONE;
  }

  /** It is there: only a higher generation counts (D17). */
  #acceptAgain(standing: Standing, { request }: ChangeOf<'accept'>): ChangeResult {
    if (request.generation <= standing.generation) return PASSED;
    this.#leaveState(standing);
    this.#tally.pending++;
    this.#sql.reopen.run(
      request.generation,
      request.notBefore,
      request.expiresAt,
      request.attempts,
      standing.number,
    );
    return DONE;
  }

  #attempt(change: ChangeOf<'attempt'>): ChangeResult {
    const { uuid, generation, attempts, attempt, notBefore } = change;
    const standing = this.#sql.standing.get(uuid);
    if (standing === undefined || generation < standing.generation) return PASSED;
    if (generation === standing.generation) {
      if (standing.state !== PENDING || attempts <= standing.attempts) return PASSED;
    } else if (standing.state !== PENDING) {
      this.#leaveState(standing);
      this.#tally.pending++;
    }
    const { number } = standing;
    const ordinal = standing.attemptsEver + 1;
    this.#sql.setAttempt.run(generation, attempts, ordinal, notBefore, number);
    const { worker, startedAt, endedAt, reason } = attempt;
    this.#sql.insertAttempt.run(number, ordinal, worker, startedAt, endedAt, reason);
    if (ordinal > ATTEMPTS_KEPT) this.#sql.deleteAttempt.run(number, ordinal - ATTEMPTS_KEPT);
    return DONE;
  }

  #reply(change: ChangeOf<'reply'>): ChangeResult {
    const { uuid, generation, reply, worker, at, expiresAt } = change;
    const standing = this.#sql.standing.get(uuid);
    if (standing === undefined || generation < standing.generation) return PASSED;
    // D17: replied before dead, so a reply is above a death.
    if (generation === standing.generation && standing.state === REPLIED) return PASSED;
    this.#leaveState(standing);
    this.#tally.replied++;
    this.#sql.settle.run(REPLIED, generation, expiresAt, standing.number);
    this.#sql.insertReply.run(standing.number, reply, worker, at);
    return DONE;
  }

  #die(change: ChangeOf<'dead'>): ChangeResult {
    const { uuid, generation, reason, at, expiresAt } = change;
    const standing = this.#sql.standing.get(uuid);
    if (standing === undefined || generation < standing.generation) return PASSED;
    if (generation === standing.generation && standing.state !== PENDING) return PASSED;
    this.#leaveState(standing);
    this.#tally.dead++;
    this.#sql.settle.run(DEAD, generation, expiresAt, standing.number);
    this.#sql.insertDeath.run(standing.number, reason, at);
    return DONE;
  }

  #end({ uuid, keyUntil }: ChangeOf<'close' | 'expire'>): ChangeResult {
    const standing = this.#sql.standing.get(uuid);
    if (standing === undefined) return PASSED;
    this.#remove(standing, uuid, keyUntil);
    return DONE;
  }

  #retry({ uuid, generation, at, expiresAt }: ChangeOf<'retry'>): ChangeResult {
    const standing = this.#sql.standing.get(uuid);
    if (standing === undefined || generation <= standing.generation) return PASSED;
    this.#leaveState(standing);
    this.#tally.pending++;
    this.#sql.reopen.run(generation, at, expiresAt, 0, standing.number);
    const row = present(this.#sql.request.get(standing.number), 'the request that is retried');
    return { kind: 'retried', request: storedRequest(row) };
  }

  #sweep({ now, keyUntil, most }: ChangeOf<'sweep'>): ChangeResult {
    const over = this.#sql.over.all(now, most + 1);
    let replied = 0;
    let dead = 0;
    for (const { uuid, ...standing } of over.slice(0, most)) {
      if (standing.state === REPLIED) replied++;
      else dead++;
      this.#remove(standing, uuid, keyUntil);
    }
    const forgotten = this.#sql.forgettable.all(now, most + 1);
    for (const { service, key } of forgotten.slice(0, most)) this.#sql.deleteKey.run(service, key);
    const more = over.length > most || forgotten.length > most;
    return { kind: 'swept', replied, dead, more };
  }

  // ---------------------------------------------------------------- parts

  #remove(standing: Standing, uuid: RequestUuid, keyUntil: number): void {
    this.#leaveState(standing);
    const { number, service, key } = standing;
    if (key !== null) {
      if (isOnceKey(key)) this.#sql.forgetKey.run(service, key, uuid);
      else this.#sql.rememberKey.run(keyUntil, service, key, uuid);
    }
    if (standing.attemptsEver > 0) this.#sql.deleteAttempts.run(number);
    this.#sql.deleteBody.run(number);
    this.#sql.deleteRequest.run(number);
  }

  /** Takes away what only its present state has. */
  #leaveState({ state, number }: Standing): void {
    if (state === REPLIED) {
      this.#tally.replied--;
      this.#sql.deleteReply.run(number);
    } else if (state === DEAD) {
      this.#tally.dead--;
      this.#sql.deleteDeath.run(number);
    } else {
      this.#tally.pending--;
    }
  }
}

function isSameTally(a: Tally, b: Tally): boolean {
  return (
    a.nextNumber === b.nextNumber &&
    a.pending === b.pending &&
    a.replied === b.replied &&
    a.dead === b.dead
  );
}
