/** One thread of a process that may be paused: what happens to it meanwhile is done afterwards, one by one. */
import type { SimClock } from '../world/clock.js';

export class Gate {
  readonly #clock: SimClock;
  #isShut = false;
  #waiting: (() => void)[] = [];

  constructor(clock: SimClock) {
    this.#clock = clock;
  }

  get isShut(): boolean {
    return this.#isShut;
  }

  /** Does it now, or when the gate is open, after what waits before it. */
  pass(action: () => void): void {
    if (this.#isShut || this.#waiting.length > 0) this.#waiting.push(action);
    else action();
  }

  shut(): void {
    this.#isShut = true;
  }

  open(): void {
    this.#isShut = false;
    this.#next();
  }

  #next(): void {
    this.#clock.after(0, () => {
      if (this.#isShut) return;
      const action = this.#waiting.shift();
      if (action === undefined) return;
      this.#next();
      action();
    });
  }

  /** Its process has ended. */
  clear(): void {
    this.#isShut = false;
    this.#waiting = [];
  }
}
