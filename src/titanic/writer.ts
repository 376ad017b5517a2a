/**
 * Group commit: one batch of changes is with the store, what comes meanwhile is the next. Nobody is
 * told of a change before its batch is committed.
 */
import { Commits } from './commits.js';
import type { Change, ChangeResult, StoreFailure } from './store.js';

/** A change, and what is to be done once it is decided. */
export interface Intent {
  readonly change: Change;
  /** Bytes that it carries. */
  readonly bytes: number;
  committed(result: ChangeResult): void;
  /**
   * Its batch was rolled back.
   * @returns true if it is to be tried again, because it is not a client's to repeat
   */
  failed(failure: StoreFailure): boolean;
}

const BATCH_CHANGES_MAX = 4096;
const BATCH_BYTES_MAX = 16 * 1024 * 1024;
/** What waits for the store at most, before more is refused. */
const WAITING_CHANGES_MAX = 200_000;
const WAITING_BYTES_MAX = 256 * 1024 * 1024;
const RETRY_MS = 1000;

export class Writer {
  readonly commits: Commits = new Commits();
  readonly #commit: (changes: readonly Change[]) => void;
  #waiting: Intent[] = [];
  #waitingBytes = 0;
  #flying: Intent[] | null = null;
  #flyingBytes = 0;
  /** While the store is in trouble: when to try again. Monotonic milliseconds. */
  #retryAt = -Infinity;

  constructor(commit: (changes: readonly Change[]) => void) {
    this.#commit = commit;
  }

  /** True if the store cannot keep up: no more is to be taken in. */
  get isFull(): boolean {
    return this.#waiting.length >= WAITING_CHANGES_MAX || this.#waitingBytes >= WAITING_BYTES_MAX;
  }

  get isIdle(): boolean {
    return this.#flying === null && this.#waiting.length === 0;
  }

  /** What is on its way to the store. */
  get bytes(): number {
    return this.#waitingBytes + this.#flyingBytes;
  }

  /** False for a while after a failure: then it is not worth trying. */
  isWilling(now: number): boolean {
    return now >= this.#retryAt;
  }

  /** When `run` is next wanted although nothing comes; Infinity for never. */
  get dueAt(): number {
    return this.#flying === null && this.#waiting.length > 0 ? this.#retryAt : Infinity;
  }

  add(intent: Intent): void {
    this.#waiting.push(intent);
    this.#waitingBytes += intent.bytes;
  }

  /** Starts the next batch, if there is something to commit and no batch is under way. */
  run(now: number): void {
    if (this.#flying !== null || this.#waiting.length === 0 || now < this.#retryAt) return;
    let count = 0;
    let bytes = 0;
    for (const intent of this.#waiting) {
      bytes += intent.bytes;
      if (count > 0 && bytes > BATCH_BYTES_MAX) break;
      if (++count === BATCH_CHANGES_MAX) break;
    }
    this.#flying = this.#waiting.splice(0, count);
    for (const intent of this.#flying) this.#flyingBytes += intent.bytes;
    this.#waitingBytes -= this.#flyingBytes;
    this.commits.began(count, now);
    this.#commit(this.#flying.map(({ change }) => change));
  }

  /** What came meanwhile is under way before anything follows from what was committed. */
  committed(results: readonly ChangeResult[], now: number): void {
    const flown = this.#land();
    this.commits.done(now);
    this.#retryAt = -Infinity;
    this.run(now);
    for (const [index, intent] of flown.entries()) {
      const result = results[index];
      if (result !== undefined) intent.committed(result);
    }
  }

  failed(failure: StoreFailure, now: number): void {
    const again = this.#land().filter((intent) => intent.failed(failure));
    this.#waiting.unshift(...again);
    for (const intent of again) this.#waitingBytes += intent.bytes;
    // What cannot be trusted is not written to any more.
    this.#retryAt = failure.kind === 'fatal' ? Infinity : now + RETRY_MS;
  }

  #land(): Intent[] {
    const flown = this.#flying ?? [];
    this.#flying = null;
    this.#flyingBytes = 0;
    return flown;
  }
}
