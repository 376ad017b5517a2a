import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

/** How often libuv samples; shorter delays are not seen. */
const RESOLUTION_MS = 20;
/**
 * A value holds for one to two of these, so that several scrapers do not reset it for each other.
 */
const WINDOW_MS = 15_000;

/** How late the event loop runs its timers. libuv samples it, not JavaScript. */
export class LoopLag {
  readonly #delays: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #timer: NodeJS.Timeout;
  #before = 0;

  constructor() {
    this.#delays.enable();
    this.#timer = setInterval(() => {
      this.#before = this.#present();
      this.#delays.reset();
    }, WINDOW_MS).unref();
  }

  /** The longest delay within the last 15 to 30 seconds, in milliseconds. */
  get mostMs(): number {
    return Math.max(this.#before, this.#present());
  }

  close(): void {
    clearInterval(this.#timer);
    this.#delays.disable();
  }

  /** Measures from one sample to the next. */
  #present(): number {
    return Math.max(0, this.#delays.max / 1e6 - RESOLUTION_MS);
  }
}
