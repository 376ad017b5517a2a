/** A clock that a test puts forward. */
import { monotonicMs } from '../core/clock.js';

/**
 * The time of a test broker: it runs like the system's, and leaps ahead when a test says so. Delays,
 * times to live and pauses between attempts then end at once.
 *
 * @example
 * const clock = new FakeClock();
 * const broker = await startTestBroker({ clock });
 * const job = await client.enqueue('render', scene, { delayMs: 3_600_000 });
 * await clock.advance(3_600_000); // it is executed now
 */
export class FakeClock {
  #aheadMs = 0;
  readonly #leapt = new Set<() => Promise<void>>();

  /** Monotonic milliseconds. */
  now(): number {
    return monotonicMs() + this.#aheadMs;
  }

  /** Milliseconds since 1970. */
  wall(): number {
    return Date.now() + this.#aheadMs;
  }

  /**
   * Puts the clock forward. Resolves when the brokers that use it have acted on it.
   * @param ms milliseconds, 0 or more
   * @throws RangeError for anything else
   */
  async advance(ms: number): Promise<void> {
    if (!Number.isFinite(ms) || ms < 0) {
      throw new RangeError(`advance() takes milliseconds, 0 or more, not ${String(ms)}`);
    }
    this.#aheadMs += ms;
    await Promise.all([...this.#leapt].map((leapt) => leapt()));
  }

  /** Calls `leapt` after each leap, until the function that it returns is called. */
  onLeap(leapt: () => Promise<void>): () => void {
    this.#leapt.add(leapt);
    return () => {
      this.#leapt.delete(leapt);
    };
  }
}
