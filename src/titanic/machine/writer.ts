/**
 * Group commit: while one batch of changes is with the store, later changes collect for the next.
 * No change is reported before its batch is committed. Parties take turns: a party that stores
 * little gets into the next batch, however much others store (D75).
 */
import { IDENTITY_SHARE } from '../../core/defaults.js';
import type { Commits } from './commits.js';
import { FairQueue } from '../../core/fair-queue.js';
import type { Replica } from './replica.js';
import type { Change, ChangeResult, StoreFailure } from '../store/store.js';

/** A change, and what to do once it is committed or has failed. */
export interface Intent {
  readonly change: Change;
  /** Precedes it in the same batch: both are committed, or neither. Its result is not reported. */
  readonly before?: Change;
  /** The party whose turn it takes. */
  readonly party: string;
  /** Bytes that it carries. */
  readonly bytes: number;
  committed(result: ChangeResult): void;
  /** Its batch is about to be sent: values that depend on the order are set now. */
  begins?(): void;
  /**
   * It is committed here, but it is uncertain whether the peer has it, as `strict` promises.
   * Absent: nobody was promised that.
   */
  doubtful?(result: ChangeResult): void;
  /**
   * Its batch was rolled back.
   * @returns true if it is to be tried again, because no client will repeat it
   */
  failed(failure: StoreFailure): boolean;
}

/** Stands for an intent while it waits, and takes less memory. */
export type IntentNumber = number;

interface BatchInProgress {
  readonly number: number;
  readonly intents: readonly Intent[];
  /** The peer has not confirmed it yet. */
  awaitsPeer: boolean;
  isDoubtful: boolean;
  /** The store's results; `null`: none yet. */
  results: readonly ChangeResult[] | null;
}

/**
 * Limits of a batch. Others wait for it, so it must take no longer than some tens of milliseconds.
 */
const BATCH_CHANGES_MAX = 256;
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/**
 * An idle store does not wait for the end of a turn: once this many changes wait, the batch begins.
 * Otherwise all clients' requests would be in one batch; the store would be idle while they are
 * answered, and the clients while it is written.
 */
const EARLY_CHANGES_MIN = 8;
/** Maximum that waits for the store, above which more is refused. */
const WAITING_CHANGES_MAX = 200_000;
const WAITING_BYTES_MAX = 256 * 1024 * 1024;
const RETRY_MS = 1000;

export class Writer {
  readonly #replica: Replica;
  readonly #commits: Commits;
  /** Makes the intent for a number. Called once for each. */
  readonly #makeIntent: (number: IntentNumber) => Intent;
  readonly #waiting = new FairQueue<Intent | IntentNumber>();
  #batch: BatchInProgress | null = null;
  #batchBytes = 0;
  /** How many changes the last two batches had. */
  #lastChanges = 0;
  #changesBefore = 0;
  /** While the store is in trouble: when to try again. Monotonic milliseconds. */
  #retryAt = -Infinity;

  constructor(replica: Replica, commits: Commits, made: (number: IntentNumber) => Intent) {
    this.#replica = replica;
    this.#commits = commits;
    this.#makeIntent = made;
  }

  /** D21: `strict` shows no step that is on one disk alone, so it makes none either. */
  get #mayWrite(): boolean {
    return this.#replica.refusal === null;
  }

  /** True if the store cannot keep up: no more may be accepted. */
  get isFull(): boolean {
    const { size, bytes } = this.#waiting;
    return size >= WAITING_CHANGES_MAX || bytes >= WAITING_BYTES_MAX;
  }

  /** True if no more may be accepted from this party. */
  isFullFor(party: string): boolean {
    return (
      this.isFull ||
      this.#waiting.sizeOf(party) >= WAITING_CHANGES_MAX * IDENTITY_SHARE ||
      this.#waiting.bytesOf(party) >= WAITING_BYTES_MAX * IDENTITY_SHARE
    );
  }

  /** The store has committed a batch that the peer has not confirmed: none of it may be shown. */
  get isUnconfirmed(): boolean {
    return this.#batch !== null && this.#batch.results !== null;
  }

  get isIdle(): boolean {
    return this.#batch === null && this.#waiting.size === 0;
  }

  /** Bytes on their way to the store. */
  get bytes(): number {
    return this.#waiting.bytes + this.#batchBytes;
  }

  /** False for a while after a failure, when another attempt is not worthwhile. */
  mayRetry(now: number): boolean {
    return now >= this.#retryAt;
  }

  /** When `run` is next due if no input arrives; Infinity for never. */
  get dueAt(): number {
    if (this.#batch !== null || this.#waiting.size === 0 || !this.#mayWrite) return Infinity;
    return this.#retryAt;
  }

  add(intent: Intent, now: number): void {
    this.#push(intent);
    this.#runEarly(now);
  }

  /** Adds an intent that is made when its batch is sent to the store, or when it is given up. */
  addNumber(party: string, number: IntentNumber, bytes: number, now: number): void {
    this.#waiting.push(party, number, bytes);
    this.#runEarly(now);
  }

  #runEarly(now: number): void {
    const half = Math.max(this.#lastChanges, this.#changesBefore) / 2;
    if (this.#waiting.size >= Math.max(EARLY_CHANGES_MIN, half)) this.run(now);
  }

  #push(intent: Intent): void {
    this.#waiting.push(intent.party, intent, intent.bytes);
  }

  /** Starts the next batch if there are changes to commit and no batch is in progress. */
  run(now: number): void {
    if (this.#batch !== null || this.#waiting.size === 0 || now < this.#retryAt) return;
    if (!this.#mayWrite) return;
    const intents = this.#nextBatch();
    for (const intent of intents) intent.begins?.();
    this.#changesBefore = this.#lastChanges;
    this.#lastChanges = intents.length;
    this.#commits.began(intents.length, now);
    const submitted = this.#replica.commit(intents.flatMap(changesOf));
    this.#batch = { ...submitted, intents, isDoubtful: false, results: null };
  }

  #nextBatch(): Intent[] {
    const intents: Intent[] = [];
    let bytes = 0;
    while (intents.length < BATCH_CHANGES_MAX) {
      bytes += this.#waiting.nextBytes;
      if (intents.length > 0 && bytes > BATCH_BYTES_MAX) break;
      const next = this.#waiting.shift();
      if (next === undefined) break;
      const intent = this.#intentOf(next);
      intents.push(intent);
      this.#batchBytes += intent.bytes;
    }
    return intents;
  }

  #intentOf(waiting: Intent | IntentNumber): Intent {
    return typeof waiting === 'number' ? this.#makeIntent(waiting) : waiting;
  }

  /** Returns false if the transaction is not this writer's. */
  committed(number: number, results: readonly ChangeResult[], now: number): boolean {
    const flight = this.#batch;
    if (flight?.number !== number) return false;
    this.#commits.done(now);
    this.#retryAt = -Infinity;
    flight.results = results;
    if (!flight.awaitsPeer) this.#complete(flight, results, now);
    return true;
  }

  /**
   * The peer has it, or was lost.
   * @param isDoubtful it was lost, and the changes were promised to both disks
   */
  released(number: number, isDoubtful: boolean, now: number): void {
    const flight = this.#batch;
    if (flight?.number !== number) return;
    flight.awaitsPeer = false;
    flight.isDoubtful = isDoubtful;
    if (flight.results !== null) this.#complete(flight, flight.results, now);
  }

  /** Starts the next batch before it reports the results of this one. */
  #complete(
    { intents, isDoubtful }: BatchInProgress,
    results: readonly ChangeResult[],
    now: number,
  ): void {
    this.#batch = null;
    this.#batchBytes = 0;
    this.run(now);
    let at = -1;
    for (const intent of intents) {
      at += changesOf(intent).length;
      const result = results[at];
      if (result === undefined) continue;
      if (isDoubtful && intent.doubtful !== undefined) intent.doubtful(result);
      else intent.committed(result);
    }
  }

  /** Nothing that waits is written now; changes that a client can repeat are given up. */
  refuse(failure: StoreFailure): void {
    for (const { item } of this.#waiting.drain()) {
      const intent = this.#intentOf(item);
      if (intent.failed(failure)) this.#push(intent);
    }
  }

  /** Gives up all changes, both waiting and with the store, and ignores later results. */
  abandon(failure: StoreFailure): void {
    this.#retryAt = Infinity;
    const inProgress = this.#batch?.intents ?? [];
    const waiting = this.#waiting.drain();
    this.#batch = null;
    for (const intent of inProgress) intent.failed(failure);
    for (const { item } of waiting) this.#intentOf(item).failed(failure);
  }

  /** Returns false if the transaction is not this writer's. */
  failed(number: number, failure: StoreFailure, now: number): boolean {
    const flight = this.#batch;
    if (flight?.number !== number) return false;
    this.#batch = null;
    this.#batchBytes = 0;
    // After a fatal failure, the store is not written to any more.
    this.#retryAt = failure.kind === 'fatal' ? Infinity : now + RETRY_MS;
    const again = flight.intents.filter((intent) => intent.failed(failure));
    if (again.length === 0) return true;
    // Puts them back in their order, before those that arrived since.
    const since = this.#waiting.drain();
    for (const intent of again) this.#push(intent);
    for (const { party, item, bytes } of since) this.#waiting.push(party, item, bytes);
    return true;
  }
}

function changesOf({ before, change }: Intent): readonly Change[] {
  return before === undefined ? [change] : [before, change];
}
