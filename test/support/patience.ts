import { setTimeout as pause } from 'node:timers/promises';

/**
 * How long tests wait for what must happen. No test is about that time, so it is generous. It grows by
 * what timers of this process are late meanwhile: a busy machine is late for everything else, too.
 */
export const PATIENCE_MS = 60_000;
/** The limit of a case with many steps, each of which has patience of its own. */
export const LONG_TEST_MS = 10 * PATIENCE_MS;
/** Jest's own limit (jest.config.js) is longer than usual patience, so that what did not come is named. */
const FACTOR_MAX = 3;
const TICK_MS = 50;

/** A deadline that moves with the lateness of timers. */
export class Patience {
  readonly #began = performance.now();
  #ms: number;
  readonly #msMax: number;

  /** @param ms for what takes longer than most */
  constructor(ms = PATIENCE_MS) {
    this.#ms = ms;
    this.#msMax = FACTOR_MAX * ms;
  }

  get waitedMs(): number {
    return Math.round(performance.now() - this.#began);
  }

  get isOver(): boolean {
    return this.waitedMs > this.#ms;
  }

  /** A timer was this late. */
  late(lateMs: number): void {
    this.#ms = Math.min(this.#msMax, this.#ms + Math.max(0, lateMs));
  }

  /** Waits between two looks. */
  async pause(ms: number): Promise<void> {
    const began = performance.now();
    await pause(ms);
    this.late(performance.now() - began - ms);
  }
}

/**
 * Calls back once if patience ends.
 * @returns what ends the waiting
 */
export function whenPatienceEnds(
  callback: (waitedMs: number) => void,
  patience = new Patience(),
): () => void {
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    patience.late(now - last - TICK_MS);
    last = now;
    if (!patience.isOver) return;
    clearInterval(timer);
    callback(patience.waitedMs);
  }, TICK_MS);
  return () => clearInterval(timer);
}
