/** Samples of a node or of one of its services, as far as the page has asked for them. */
import type { ServiceHistory } from '../http/api/node-answers.js';

/** One of them, by the names of the columns. */
export type Sample = Readonly<Record<string, number | null>>;

export class Samples {
  readonly #max: number;
  #all: Sample[] = [];
  #next = 0;
  #startedAt: string | null = null;

  /** @param max as many as the node keeps */
  constructor(max: number) {
    this.#max = max;
  }

  /** The oldest first. */
  get all(): readonly Sample[] {
    return this.#all;
  }

  /** The number of the first that is missing. */
  get next(): number {
    return this.#next;
  }

  /**
   * @returns false if the node has started again: its samples are counted from 0, so that what was
   *   asked for may be too much or too little; all are forgotten, and have to be asked for anew
   */
  take({ startedAt, columns, samples, next }: ServiceHistory): boolean {
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
