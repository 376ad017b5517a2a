/**
 * How late the messages of one connection are (the Suicidal Snail, D44).
 *
 * The clocks of publisher and subscriber need not agree: of `now − time` only what exceeds the smallest
 * such difference of the last ten minutes is lateness. So a constant distance between the clocks, and
 * their drift, do not count; a delay that grew does.
 */

const BUCKET_MS = 10_000;
/** Ten minutes, and the bucket that is being filled. */
const BUCKETS = 61;

export class Lateness {
  /** The smallest difference in each period of ten seconds; a ring. */
  readonly #buckets: Float64Array = new Float64Array(BUCKETS).fill(Infinity);
  /** The present period. */
  #period = -Infinity;
  #smallest = Infinity;

  /**
   * A message arrived.
   * @param now milliseconds, by a clock that never steps
   * @param sentAt milliseconds, by the publisher's clock
   */
  arrived(now: number, sentAt: number): void {
    const period = Math.floor(now / BUCKET_MS);
    if (period > this.#period) this.#advance(period);
    const difference = now - sentAt;
    const index = this.#period % BUCKETS;
    if (difference < (this.#buckets[index] ?? Infinity)) this.#buckets[index] = difference;
    if (difference < this.#smallest) this.#smallest = difference;
  }

  /** How late a message is now that arrived before, in milliseconds; at least 0. */
  of(now: number, sentAt: number): number {
    return Math.max(0, now - sentAt - this.#smallest);
  }

  #advance(period: number): void {
    const passed = Math.min(period - this.#period, BUCKETS);
    for (let back = 0; back < passed; back++) this.#buckets[(period - back) % BUCKETS] = Infinity;
    this.#period = period;
    this.#smallest = Math.min(...this.#buckets);
  }
}
