/**
 * One order about many requests: page by page, each on the disk before the next is read, so that a
 * million of them hold nobody up. Each request is come to once.
 */
import type { BulkResult, OperatorResult } from './operator-api.js';
import type { PageQuestion, ReadPage, Reading } from './reading.js';
import type { RequestUuid, StoredRequest, StoreFailure } from './store.js';

/** What became of a change: made; no step up; not on the disk. */
export type Decided = (result: 'done' | 'passed' | StoreFailure) => void;

export interface BulkJob {
  /** Which, one list after the other. */
  readonly lists: readonly Omit<PageQuestion, 'after' | 'limit'>[];
  /** At most so many. */
  readonly limit: number;
  /** Why nothing can be changed now, or `null`. */
  obstacle(): string | null;
  /** Monotonic milliseconds. */
  now(): number;
  /** Begins with one; false: it is left as it is. */
  begin(request: StoredRequest, decided: Decided): boolean;
  /** @param count changed, also if it ended by trouble */
  end(outcome: OperatorResult<BulkResult>, count: number): void;
}

/** Changed in one go: some milliseconds of the store's. */
const SLICE_REQUESTS = 200;
/** It stops by itself then: who asked does not wait for longer, and can ask again. */
const RUN_MS_MAX = 20_000;

export class BulkRun {
  readonly #job: BulkJob;
  readonly #reading: Reading;
  #list = 0;
  #after: RequestUuid | null = null;
  #count = 0;
  #undecided = 0;
  #trouble: string | null = null;
  readonly #endAt: number;

  constructor(job: BulkJob, reading: Reading) {
    this.#job = job;
    this.#endAt = job.now() + RUN_MS_MAX;
    this.#reading = reading;
  }

  /** It ends after what is under way. */
  stop(why: string): void {
    this.#trouble ??= why;
  }

  /** Goes on with the next page. */
  run(): void {
    const { limit, lists } = this.#job;
    const list = lists[this.#list];
    this.#trouble ??= this.#job.obstacle();
    if (this.#trouble !== null) {
      const text =
        this.#count === 0 ? this.#trouble : `${this.#trouble} (${this.#count} were done before)`;
      this.#job.end({ kind: 'trouble', text }, this.#count);
    } else if (list === undefined || this.#count >= limit || this.#job.now() >= this.#endAt) {
      const value = { count: this.#count, more: list !== undefined };
      this.#job.end({ kind: 'done', value }, this.#count);
    } else {
      const most = Math.min(SLICE_REQUESTS, limit - this.#count);
      this.#reading.page({ ...list, after: this.#after, limit: most }, (page) => {
        this.#change(page);
      });
    }
  }

  #change(page: ReadPage | StoreFailure): void {
    if ('kind' in page) {
      this.#trouble ??= page.message;
      this.run();
      return;
    }
    this.#after = page.next;
    if (page.next === null) this.#list++;
    // Counted as one of them, so that it goes on after all, also if there is none.
    this.#undecided = 1;
    for (const request of page.requests) {
      if (this.#trouble !== null) break;
      this.#undecided++;
      if (!this.#job.begin(request, this.#decided)) this.#undecided--;
    }
    this.#decided('passed');
  }

  readonly #decided: Decided = (result) => {
    if (result === 'done') this.#count++;
    else if (result !== 'passed') this.#trouble ??= result.message;
    if (--this.#undecided === 0) this.run();
  };
}
