/**
 * A command for many requests. It works page by page and commits each page before it reads the
 * next, so that a million requests do not block other work. It visits each request once.
 */
import type { BulkResult, OperatorResult } from './operator-api.js';
import type { ListedRequest, RequestPage, Selection, StoreQueries } from '../../store/queries.js';
import type { ChangeCallback } from '../machine/requests/open-requests.js';
import type { StoreFailure } from '../../store/store.js';

export interface BulkJob {
  readonly selection: Selection;
  /** Maximum number of requests. */
  readonly limit: number;
  /** Why nothing can be changed now, or `null`. */
  obstacle(): string | null;
  /** Monotonic milliseconds. */
  now(): number;
  /** Begins the change of one request; false: it stays as it is. */
  begin(request: ListedRequest, decided: ChangeCallback): boolean;
  /** @param count requests changed, even if the run ended with an error */
  end(outcome: OperatorResult<BulkResult>, count: number): void;
}

/** Changed in one commit, which takes the store some milliseconds. */
const SLICE_REQUESTS = 200;
/** The run stops after this time: the operator need not wait longer, and can repeat the command. */
const RUN_MS_MAX = 20_000;

export class BulkRun {
  readonly #job: BulkJob;
  readonly #queries: StoreQueries;
  /** `null`: there are no more. */
  #next: Selection | null;
  #count = 0;
  #scanned = 0;
  #undecided = 0;
  #trouble: string | null = null;
  readonly #endAt: number;

  constructor(job: BulkJob, queries: StoreQueries) {
    this.#job = job;
    this.#endAt = job.now() + RUN_MS_MAX;
    this.#queries = queries;
    this.#next = job.selection;
  }

  /** Ends the run after the page in progress. */
  stop(why: string): void {
    this.#trouble ??= why;
  }

  /** Continues with the next page. */
  run(): void {
    const { limit } = this.#job;
    const next = this.#next;
    this.#trouble ??= this.#job.obstacle();
    if (this.#trouble !== null) {
      const text =
        this.#count === 0 ? this.#trouble : `${this.#trouble} (after ${this.#count} requests)`;
      this.#job.end({ kind: 'trouble', text }, this.#count);
    } else if (next === null || this.#count >= limit || this.#job.now() >= this.#endAt) {
      const [count, scanned] = [this.#count, this.#scanned];
      const value = { count, scanned, next: next?.after ?? null };
      this.#job.end({ kind: 'done', value }, count);
    } else {
      const most = Math.min(SLICE_REQUESTS, limit - this.#count);
      this.#queries.page({ ...next, limit: most }, (page) => this.#change(page));
    }
  }

  #change(page: RequestPage | StoreFailure): void {
    if ('kind' in page) {
      this.#trouble ??= page.message;
      this.run();
      return;
    }
    this.#next = page.next === null ? null : { ...this.#job.selection, after: page.next };
    this.#scanned += page.scanned;
    // Counted as one of them, so that the run continues even if there is none.
    this.#undecided = 1;
    for (const request of page.requests) {
      if (this.#trouble !== null) break;
      this.#undecided++;
      if (!this.#job.begin(request, this.#decided)) this.#undecided--;
    }
    this.#decided('passed');
  }

  readonly #decided: ChangeCallback = (result) => {
    if (result === 'done') this.#count++;
    else if (result !== 'passed') this.#trouble ??= result.message;
    if (--this.#undecided === 0) this.run();
  };
}
