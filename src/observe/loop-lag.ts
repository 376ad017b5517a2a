import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

/** How often it is looked; what is shorter than this is not seen. */
const RESOLUTION_MS = 20;
/** A value holds for one to two of these, so that scrapers need not reset it for each other. */
const WINDOW_MS = 15_000;

/** How late the event loop comes to its timers. The looking is done by libuv, not in JavaScript. */
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

  /** The most within the last 15 to 30 seconds, in milliseconds. */
  get mostMs(): number {
    return Math.max(this.#before, this.#present());
  }

  close(): void {
    clearInterval(this.#timer);
    this.#delays.disable();
  }

  /** What is measured is from one look to the next. */
  #present(): number {
    return Math.max(0, this.#delays.max / 1e6 - RESOLUTION_MS);
  }
}
