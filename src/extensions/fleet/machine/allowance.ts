/** How often something may be done: so many times at once, and so many times a second. */
export class Allowance {
  readonly #most: number;
  readonly #perMs: number;
  #left: number;
  /** When that was left, in monotonic milliseconds. */
  #at = -Infinity;

  constructor(atOnce: number, perSecond: number) {
    this.#most = atOnce;
    this.#perMs = perSecond / 1000;
    this.#left = atOnce;
  }

  /** Counts that something is done now: `readyAt(1, now)` is not later. */
  take(now: number): void {
    this.#left = this.#leftAt(now) - 1;
    this.#at = now;
  }

  /** When it may be done `count` times; never more than at once. Monotonic milliseconds. */
  readyAt(count: number, now: number): number {
    const missing = Math.min(count, this.#most) - this.#leftAt(now);
    return missing <= 0 ? now : now + Math.ceil(missing / this.#perMs);
  }

  #leftAt(now: number): number {
    if (this.#at === -Infinity) return this.#left;
    return Math.min(this.#most, this.#left + (now - this.#at) * this.#perMs);
  }
}
