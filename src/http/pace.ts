import { httpError } from './errors.js';

/** After a piece of work it rests for so many times as long as that took: a fifth of the loop. */
const RESTS = 4;
/** Pieces that wait at most, also of those who have gone since they asked. */
const WAITING_MAX = 100;

/**
 * Work for people on the broker's loop: a piece after the other, with rests, so that however many
 * ask for however much, most of the loop's time is left for messages.
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
   * Resolves with what the work gives, when its turn has come.
   * @throws ERR_HTTP_BUSY if too many wait already
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
