import { httpError } from './errors.js';

/** A rest is this many times as long as the work before it, which uses a fifth of the loop. */
const RESTS = 4;
/** Waiting pieces of work, including those of clients that have left since. */
const WAITING_MAX = 100;
/** What so many have read is in memory at once, before it is shown. */
const READINGS_MAX = 8;

/**
 * Runs work for operators on the broker's event loop, one piece at a time and with rests between,
 * so that most of the loop's time is left for messages, however much is requested.
 */
export class Pace {
  readonly #now: () => number;
  #tail: Promise<void> = Promise.resolve();
  #waiting = 0;
  #readings = 0;
  /** Readings that wait until another one is over. */
  readonly #readers: (() => void)[] = [];

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Runs the work when its turn comes, and resolves with its result.
   * @throws ERR_HTTP_BUSY if too many pieces are waiting
   */
  run<Result>(work: () => Result): Promise<Result> {
    this.#checkRoom();
    return this.#turn(work);
  }

  /**
   * Begins to read something when its turn comes, and shows it in another turn. Nobody waits while it is read, but few
   * read at once.
   * @param begin what takes long in it is done elsewhere
   * @throws ERR_HTTP_BUSY if too many are waiting
   */
  async read<Read, Result>(
    begin: () => Promise<Read>,
    show: (read: Read) => Result,
  ): Promise<Result> {
    this.#checkRoom();
    if (this.#readings < READINGS_MAX) this.#readings++;
    else await new Promise<void>((resolve) => this.#readers.push(resolve));
    try {
      const read = await this.#turn(begin);
      return await this.#turn(() => show(read));
    } finally {
      const next = this.#readers.shift();
      if (next === undefined) this.#readings--;
      else next();
    }
  }

  #checkRoom(): void {
    if (this.#waiting + this.#readers.length < WAITING_MAX) return;
    const text = `${WAITING_MAX} other requests are already waiting for this`;
    throw httpError('ERR_HTTP_BUSY', text);
  }

  #turn<Result>(work: () => Result | Promise<Result>): Promise<Result> {
    this.#waiting++;
    let tookMs = 0;
    const worked = this.#tail.then(() => {
      this.#waiting--;
      const startedAt = this.#now();
      try {
        return { result: work() };
      } finally {
        tookMs = this.#now() - startedAt;
      }
    });
    const rest = (): Promise<void> =>
      new Promise((resolve) => {
        setTimeout(resolve, RESTS * tookMs);
      });
    this.#tail = worked.then(rest, rest);
    return worked.then(({ result }) => result);
  }
}
