import { monotonicMs } from '../../core/clock.js';
import type { Time } from '../../node/turns.js';

/**
 * The clock of the store, as it was when the session was last renewed: no clock of a broker decides
 * when a request expires, or is tried again.
 */
export class StoreClock implements Time {
  #offset: number | null = null;

  /** @param at monotonic milliseconds: when the store was asked */
  set(at: number, storeMs: number): void {
    this.#offset = storeMs - at;
  }

  now(): number {
    return monotonicMs();
  }

  wall(): number {
    return this.#offset === null ? Date.now() : Math.round(monotonicMs() + this.#offset);
  }
}
