import { httpError } from './errors.js';

/** A rest is this many times as long as the work before it, which uses a fifth of the loop. */
const RESTS = 4;
/** Waiting pieces of work, including those of clients that have left since. */
const WAITING_MAX = 100;

/**
 * Runs work for operators on the broker's event loop, one piece at a time and with rests between,
 * so that most of the loop's time is left for messages, however much is requested.
 */
export class Pace {
  readonly #now: () => number;
  #tail: Promise<void> = Promise.resolve();
  #waiting = 0;

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Runs the work when its turn comes, and resolves with its result.
   * @throws ERR_HTTP_BUSY if too many pieces are waiting
   */
  run<Result>(work: () => Result): Promise<Result> {
    if (this.#waiting >= WAITING_MAX) {
      throw httpError(
        'ERR_HTTP_BUSY',
        `${WAITING_MAX} other requests are already waiting for this`,
      );
    }
    this.#waiting++;
    let tookMs = 0;
    const result = this.#tail.then(() => {
      this.#waiting--;
      const startedAt = this.#now();
      try {
        return work();
      } finally {
        tookMs = this.#now() - startedAt;
      }
    });
    const rest = (): Promise<void> =>
      new Promise((resolve) => {
        setTimeout(resolve, RESTS * tookMs);
      });
    this.#tail = result.then(rest, rest);
    return result;
  }
}
