import { monotonicMs, type Time } from '../../core/clock.js';

/**
 * The clock of the store, as it was when the session was last renewed: no clock of a broker decides
 * when a request expires, or is tried again.
 */
export class StoreClock implements Time {
  #offset: number | null = null;

  /**
   * What lies within the time that the answer took is no news: a slow answer is no step of the clock.
   * @param at monotonic milliseconds: when the store was asked
   * @param answeredAt when its answer was there
   */
  set(at: number, storeMs: number, answeredAt: number): void {
    const latest = storeMs - at;
    this.#offset = Math.min(latest, Math.max(storeMs - answeredAt, this.#offset ?? latest));
  }

  now(): number {
    return monotonicMs();
  }

  wall(): number {
    return this.#offset === null ? Date.now() : Math.round(monotonicMs() + this.#offset);
  }
}
