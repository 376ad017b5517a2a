/** The samples of a node or of one of its services that the page has loaded. */
import type { Overview } from '../admin/api/node-answers.js';

/** A sample, by column name. */
export type Sample = Readonly<Record<string, number | null>>;

/** What both histories have. */
type Taken = Pick<Overview, 'startedAt' | 'columns' | 'samples' | 'next'>;

export class Samples {
  readonly #max: number;
  #all: Sample[] = [];
  #next = 0;
  #startedAt: string | null = null;

  /** @param max number of samples that the node keeps */
  constructor(max: number) {
    this.#max = max;
  }

  /** Oldest first. */
  get all(): readonly Sample[] {
    return this.#all;
  }

  /** The number of the first missing sample. */
  get next(): number {
    return this.#next;
  }

  /**
   * @returns false if the node was restarted: it numbers its samples from 0 again, so this block
   *   may have too many or too few; all samples are dropped, and the caller must load them again
   */
  take({ startedAt, columns, samples, next }: Taken): boolean {
    const isRestarted = this.#startedAt !== null && this.#startedAt !== startedAt;
    if (isRestarted) {
      this.#all = [];
      this.#next = 0;
      this.#startedAt = null;
      return false;
    }
    this.#startedAt = startedAt;
    this.#next = next;
    for (const row of samples) {
      const fields = columns.map((name, index) => [name, row[index] ?? null] as const);
      this.#all.push(Object.fromEntries(fields));
    }
    this.#all.splice(0, this.#all.length - this.#max);
    return true;
  }
}
