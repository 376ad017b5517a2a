/** A process of a worker that is held up now and then: what it would have done meanwhile it does then. */
import type { SimClock } from '../world/clock.js';
import type { SimRandom } from '../world/random.js';
import type { Line } from './line.js';

export class Freezer {
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  readonly #line: Line;
  #postponed: (() => void)[] = [];
  isFrozen = false;

  constructor(clock: SimClock, random: SimRandom, line: Line) {
    this.#clock = clock;
    this.#random = random;
    this.#line = line;
  }

  /** Perhaps it does not even read. */
  freeze(forMs: number): void {
    if (this.isFrozen) return;
    this.isFrozen = true;
    const isDeaf = this.#random.chance(0.5);
    if (isDeaf) this.#line.stopReading();
    this.#clock.after(forMs, () => {
      this.isFrozen = false;
      if (isDeaf) this.#line.resumeReading();
      for (const action of this.#postponed.splice(0)) action();
    });
  }

  /** Does it then, or as soon as it is no longer frozen; unless it is out of date by then. */
  later(delayMs: number, isCurrent: () => boolean, action: () => void): void {
    const run = (): void => {
      if (!isCurrent()) return;
      if (this.isFrozen) this.#postponed.push(run);
      else action();
    };
    if (delayMs === 0) run();
    else this.#clock.after(delayMs, run);
  }
}
