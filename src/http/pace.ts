/** After a piece of work it rests for so many times as long as that took: a fifth of the loop. */
const RESTS = 4;

/**
 * Work for people on the broker's loop: a piece after the other, with rests, so that however many
 * ask for however much, most of the loop's time is left for messages.
 */
export class Pace {
  readonly #now: () => number;
  #tail: Promise<void> = Promise.resolve();

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Resolves with what the work gives, when its turn has come. */
  run<Result>(work: () => Result): Promise<Result> {
    let tookMs = 0;
    const result = this.#tail.then(() => {
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
