/**
 * Group commit: one batch of changes is with the store, what comes meanwhile is the next. Nobody is
 * told of a change before its batch is committed. Parties take turns: who stores little is in the next
 * batch, however much others store (D75).
 */
import type { Commits } from './commits.js';
import { FairQueue } from './fair-queue.js';
import type { Change, ChangeResult, StoreFailure } from './store.js';

/** A change, and what is to be done once it is decided. */
export interface Intent {
  readonly change: Change;
  /** Goes before it, in the same batch: both are committed, or neither. What became of it is not told. */
  readonly before?: Change;
  /** Among whom it takes its turn. */
  readonly party: string;
  /** Bytes that it carries. */
  readonly bytes: number;
  committed(result: ChangeResult): void;
  /** It is in the batch that goes out now: what depends on the order is decided by then. */
  begins?(): void;
  /**
   * It is committed here; nobody knows whether the peer has it, and `strict` promises that it does.
   * Absent: nobody was promised anything.
   */
  doubtful?(result: ChangeResult): void;
  /**
   * Its batch was rolled back.
   * @returns true if it is to be tried again, because it is not a client's to repeat
   */
  failed(failure: StoreFailure): boolean;
}

/** What stands for an intent while it waits, and takes less memory. */
export type IntentNumber = number;

/** What became of handing a batch over. */
export interface Handed {
  /** Of its transaction. */
  readonly number: number;
  /** What follows from it waits for the peer. */
  readonly awaits: boolean;
}

interface Flight {
  readonly number: number;
  readonly intents: readonly Intent[];
  awaits: boolean;
  isDoubtful: boolean;
  /** What the store did; `null`: not yet. */
  results: readonly ChangeResult[] | null;
}

/** Others wait for a batch: it takes no longer than some tens of milliseconds. */
const BATCH_CHANGES_MAX = 256;
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/**
 * A store that has nothing to do is not left waiting for the end of a turn: once so much waits, the
 * batch begins. Else all clients' requests would be in one batch, and the store would idle while
 * they are answered, and clients while it is written.
 */
const EARLY_CHANGES_MIN = 8;
/** What waits for the store at most, before more is refused. */
const WAITING_CHANGES_MAX = 200_000;
const WAITING_BYTES_MAX = 256 * 1024 * 1024;
/** Of that, what one party may have: the rest is left to others. */
const PARTY_SHARE = 0.875;
const RETRY_MS = 1000;

export class Writer {
  readonly #commit: (changes: readonly Change[]) => Handed;
  /** False while nothing may be written: it waits. */
  readonly #mayWrite: () => boolean;
  readonly #commits: Commits;
  /** Makes the intent of a number, once. */
  readonly #made: (number: IntentNumber) => Intent;
  readonly #waiting = new FairQueue<Intent | IntentNumber>();
  #flying: Flight | null = null;
  #flyingBytes = 0;
  /** How many changes the last two batches had. */
  #lastChanges = 0;
  #changesBefore = 0;
  /** While the store is in trouble: when to try again. Monotonic milliseconds. */
  #retryAt = -Infinity;

  constructor(
    commit: (changes: readonly Change[]) => Handed,
    mayWrite: () => boolean,
    commits: Commits,
    made: (number: IntentNumber) => Intent,
  ) {
    this.#made = made;
    this.#commit = commit;
    this.#mayWrite = mayWrite;
    this.#commits = commits;
  }

  /** True if the store cannot keep up: no more is to be taken in. */
  get isFull(): boolean {
    const { size, bytes } = this.#waiting;
    return size >= WAITING_CHANGES_MAX || bytes >= WAITING_BYTES_MAX;
  }

  /** True if no more of this party is to be taken in. */
  isFullFor(party: string): boolean {
    return (
      this.isFull ||
      this.#waiting.sizeOf(party) >= WAITING_CHANGES_MAX * PARTY_SHARE ||
      this.#waiting.bytesOf(party) >= WAITING_BYTES_MAX * PARTY_SHARE
    );
  }

  /** The store has committed a batch that the peer has not confirmed: none of it may be shown. */
  get isUnconfirmed(): boolean {
    return this.#flying !== null && this.#flying.results !== null;
  }

  get isIdle(): boolean {
    return this.#flying === null && this.#waiting.size === 0;
  }

  /** What is on its way to the store. */
  get bytes(): number {
    return this.#waiting.bytes + this.#flyingBytes;
  }

  /** False for a while after a failure: then it is not worth trying. */
  isWilling(now: number): boolean {
    return now >= this.#retryAt;
  }

  /** When `run` is next wanted although nothing comes; Infinity for never. */
  get dueAt(): number {
    if (this.#flying !== null || this.#waiting.size === 0 || !this.#mayWrite()) return Infinity;
    return this.#retryAt;
  }

  add(intent: Intent, now: number): void {
    this.#push(intent);
    this.#runEarly(now);
  }

  /** One that is made when its batch goes out, or when it is given up. */
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

  /** Starts the next batch, if there is something to commit and no batch is under way. */
  run(now: number): void {
    if (this.#flying !== null || this.#waiting.size === 0 || now < this.#retryAt) return;
    if (!this.#mayWrite()) return;
    const intents = this.#nextBatch();
    for (const intent of intents) intent.begins?.();
    this.#changesBefore = this.#lastChanges;
    this.#lastChanges = intents.length;
    this.#commits.began(intents.length, now);
    const handed = this.#commit(intents.flatMap(changesOf));
    this.#flying = { ...handed, intents, isDoubtful: false, results: null };
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
      this.#flyingBytes += intent.bytes;
    }
    return intents;
  }

  #intentOf(waiting: Intent | IntentNumber): Intent {
    return typeof waiting === 'number' ? this.#made(waiting) : waiting;
  }

  /** Returns false for a transaction that is none of this writer's. */
  committed(number: number, results: readonly ChangeResult[], now: number): boolean {
    const flight = this.#flying;
    if (flight?.number !== number) return false;
    this.#commits.done(now);
    this.#retryAt = -Infinity;
    flight.results = results;
    if (!flight.awaits) this.#land(flight, results, now);
    return true;
  }

  /**
   * The peer has it, or is gone.
   * @param isDoubtful it is gone, and what follows was promised to both disks
   */
  released(number: number, isDoubtful: boolean, now: number): void {
    const flight = this.#flying;
    if (flight?.number !== number) return;
    flight.awaits = false;
    flight.isDoubtful = isDoubtful;
    if (flight.results !== null) this.#land(flight, flight.results, now);
  }

  /** What came meanwhile is under way before anything follows from what was committed. */
  #land({ intents, isDoubtful }: Flight, results: readonly ChangeResult[], now: number): void {
    this.#flying = null;
    this.#flyingBytes = 0;
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

  /** What waits is not written for now: what is a client's to repeat is given up. */
  refuse(failure: StoreFailure): void {
    for (const { item } of this.#waiting.drain()) {
      const intent = this.#intentOf(item);
      if (intent.failed(failure)) this.#push(intent);
    }
  }

  /** Nothing of it is waited for any more, here or in the store. */
  abandon(failure: StoreFailure): void {
    this.#retryAt = Infinity;
    const flying = this.#flying?.intents ?? [];
    const waiting = this.#waiting.drain();
    this.#flying = null;
    for (const intent of flying) intent.failed(failure);
    for (const { item } of waiting) this.#intentOf(item).failed(failure);
  }

  /** Returns false for a transaction that is none of this writer's. */
  failed(number: number, failure: StoreFailure, now: number): boolean {
    const flight = this.#flying;
    if (flight?.number !== number) return false;
    this.#flying = null;
    this.#flyingBytes = 0;
    // What cannot be trusted is not written to any more.
    this.#retryAt = failure.kind === 'fatal' ? Infinity : now + RETRY_MS;
    const again = flight.intents.filter((intent) => intent.failed(failure));
    if (again.length === 0) return true;
    // In their order before what has come since.
    const since = this.#waiting.drain();
    for (const intent of again) this.#push(intent);
    for (const { party, item, bytes } of since) this.#waiting.push(party, item, bytes);
    return true;
  }
}

function changesOf({ before, change }: Intent): readonly Change[] {
  return before === undefined ? [change] : [before, change];
}
