/**
 * Counts what the store holds again and again while other brokers change it, too, and once after an
 * outcome was unknown. In between, this broker only counts its own changes.
 */
import type { Clock, Timer } from './clock.js';

const PAUSE_MIN_MS = 2000;
/** Others may have been miscounted for the same reason. */
const SOON_MS = 100;
/** Counting is given up after so many times what it took before: its connection may be dead. */
const LIMIT_TIMES = 10;
/** Counting takes at most one part in so many of the time of the database, for each broker. */
const SHARE = 100;

/** Between two counts, after one that took so long. */
export function pauseAfter(tookMs: number): number {
  return Math.max(PAUSE_MIN_MS, SHARE * tookMs);
}

export class Recount {
  readonly #clock: Clock;
  readonly #count: (limitMs: number) => Promise<number>;
  readonly #limitMsMin: number;
  /** How long the database counted. */
  #tookMs: number;
  #timer: Timer | null = null;
  #isAlone = true;
  #isMiscounted = false;
  #isCounting = false;
  #isClosed = false;
  /** Monotonic milliseconds: until then, counting would take too much of the time. */
  #notBefore = -Infinity;

  /**
   * @param count counts once, within this time; resolves to how long the database counted, without what
   * was waited for before
   * @param tookMs how long it counted when the store was opened
   * @param limitMsMin the least that it may take
   */
  constructor(
    clock: Clock,
    count: (limitMs: number) => Promise<number>,
    tookMs: number,
    limitMsMin: number,
  ) {
    this.#clock = clock;
    this.#count = count;
    this.#tookMs = tookMs;
    this.#limitMsMin = limitMsMin;
  }

  /** @param others how many other brokers are connected */
  accompanied(others: number): void {
    const wasAlone = this.#isAlone;
    this.#isAlone = others === 0;
    // Also once when the last one has left.
    if (!wasAlone || !this.#isAlone) this.#later(PAUSE_MIN_MS);
  }

  /** The counts are not right until it has counted. */
  miscounted(): void {
    this.#isMiscounted = true;
    // Otherwise it counts again at the end.
    if (this.#isCounting) return;
    this.#cancel();
    this.#later(Math.max(SOON_MS, this.#notBefore - this.#clock.now()));
  }

  #later(ms: number): void {
    if (this.#isClosed || this.#timer !== null) return;
    this.#timer = this.#clock.later(ms, () => void this.#run());
  }

  async #run(): Promise<void> {
    this.#isMiscounted = false;
    this.#isCounting = true;
    const limitMs = Math.max(this.#limitMsMin, LIMIT_TIMES * this.#tookMs);
    let pauseMs = PAUSE_MIN_MS;
    try {
      this.#tookMs = await this.#count(limitMs);
      pauseMs = pauseAfter(this.#tookMs);
    } catch {
      this.#isMiscounted = true;
      // There may be much more to count than before.
      this.#tookMs *= 2;
    }
    this.#isCounting = false;
    this.#timer = null;
    this.#afterwards(pauseMs);
  }

  #afterwards(pauseMs: number): void {
    this.#notBefore = this.#clock.now() + pauseMs;
    if (this.#isMiscounted || !this.#isAlone) this.#later(pauseMs);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  #cancel(): void {
    if (this.#timer !== null) this.#clock.cancel(this.#timer);
    this.#timer = null;
  }
}
