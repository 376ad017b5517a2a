/**
 * The changes that one reader of a map has not taken yet. Of several changes of one key it keeps the
 * last, so a slow reader misses what was between, but never the state that the map is in; and what
 * waits is bounded by what the reader knew and what there is now.
 */
import type { Values } from './copy.js';

/** @typeParam Change what the reader gets */
interface Taker<Change> {
  readonly resolve: (result: IteratorResult<Change, undefined>) => void;
  readonly reject: (error: Error) => void;
}

interface Waiting {
  /** The value that the reader knows; `undefined`: it knows none. */
  readonly before: Buffer | undefined;
  readonly after: Buffer | undefined;
}

const OVER = { done: true, value: undefined } as const;

export class ChangeReader<Change> implements AsyncIterableIterator<Change, undefined> {
  readonly #make: (key: string, value: Buffer | undefined) => Change;
  readonly #ended: (reader: ChangeReader<Change>) => void;
  /** Changes that wait for the reader, by key, in the order of the last changes. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #takers: Taker<Change>[] = [];
  #isEnded = false;
  /** Why; thrown once. */
  #error: Error | null = null;

  /**
   * @param make of a key, as Latin-1, and its value
   * @param ended called when the reader stops
   */
  constructor(
    make: (key: string, value: Buffer | undefined) => Change,
    ended: (reader: ChangeReader<Change>) => void,
  ) {
    this.#make = make;
    this.#ended = ended;
  }

  changed(key: string, before: Buffer | undefined, after: Buffer | undefined): void {
    if (this.#isEnded) return;
    const known = this.#waiting.get(key);
    if (known !== undefined) this.#waiting.delete(key);
    const first = known === undefined ? before : known.before;
    if (isSame(first, after)) return;
    const taker = this.#takers.shift();
    if (taker === undefined) this.#waiting.set(key, { before: first, after });
    else taker.resolve({ done: false, value: this.#make(key, after) });
  }

  replaced(before: Values, after: Values): void {
    for (const [key, value] of before) {
      if (!after.has(key)) this.changed(key, value, undefined);
    }
    for (const [key, value] of after) {
      const old = before.get(key);
      if (!isSame(old, value)) this.changed(key, old, value);
    }
  }

  next(): Promise<IteratorResult<Change, undefined>> {
    for (const [key, { after }] of this.#waiting) {
      this.#waiting.delete(key);
      return Promise.resolve({ done: false, value: this.#make(key, after) });
    }
    const error = this.#error;
    this.#error = null;
    if (error !== null) return Promise.reject(error);
    if (this.#isEnded) return Promise.resolve(OVER);
    return new Promise((resolve, reject) => {
      this.#takers.push({ resolve, reject });
    });
  }

  /** The reader wants no more. */
  return(): Promise<IteratorResult<Change, undefined>> {
    this.#waiting.clear();
    this.end(null);
    this.#error = null;
    this.#ended(this);
    return Promise.resolve(OVER);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** No more changes come. @param error `null`: the map was closed */
  end(error: Error | null): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (error === null) this.#waiting.clear();
    this.#error = error;
    const [first, ...others] = this.#takers.splice(0);
    if (first === undefined) return;
    this.#error = null;
    if (error === null) first.resolve(OVER);
    else first.reject(error);
    for (const { resolve } of others) resolve(OVER);
  }
}

function isSame(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}
