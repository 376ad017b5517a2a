import type { Clock } from './clock.js';

const PAUSE_MIN_MS = 20;
const PAUSE_MAX_MS = 5_000;
const DOUBLINGS_MAX = 20;

/**
 * The pauses before a store is connected to again, for all its connections together: they grow while it is away. A
 * pooler whose database is away keeps every connection for minutes that was made to it meanwhile.
 */
export class ReconnectPauses {
  /** Why there is no connection; `null`: there is one, or none was needed. */
  error: unknown = null;
  readonly #clock: Clock;
  readonly #random: () => number;
  #failures = 0;
  /** Monotonic milliseconds; 0: now. */
  #until = 0;
  readonly #waiting = new Set<() => void>();

  constructor(clock: Clock, random = Math.random) {
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * Waits until it may be tried. Each waits for a time of its own, and longer if another one has failed meanwhile.
   * @param isOver asked after each pause: then nobody waits for it any more
   */
  async over(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const until = this.#until;
      // The first ones after a short break need not wait for each other.
      const mine = until + (this.#failures > 1 ? (this.#pauseMs() * this.#random()) / 2 : 0);
      while (this.#clock.now() < mine && this.#until === until && !isOver()) {
        await this.#pause(mine - this.#clock.now());
      }
      if (this.#until === until) return;
    }
  }

  /** When the next connection may be made, of all that share the pauses: monotonic milliseconds. */
  get until(): number {
    return this.#until;
  }

  #pauseMs(): number {
    const doublings = Math.min(this.#failures - 1, DOUBLINGS_MAX);
    return Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** doublings);
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const end = (): void => {
        this.#clock.cancel(timer);
        this.#waiting.delete(end);
        resolve();
      };
      const timer = this.#clock.later(ms, end);
      this.#waiting.add(end);
    });
  }

  /** Pauses anew. Of connections that fail during the same pause, only the first makes the next longer. */
  failed(error: unknown): void {
    this.error = error;
    if (this.#clock.now() >= this.#until) this.#failures++;
    this.#until = this.#clock.now() + (this.#pauseMs() * (1 + this.#random())) / 2;
  }

  /** Nobody waits any longer. */
  worked(): void {
    this.error = null;
    this.#failures = 0;
    this.#until = 0;
    this.wake();
  }

  /** Whoever waits asks anew whether it is over. */
  wake(): void {
    for (const end of this.#waiting) end();
  }
}
