/**
 * Hints of other brokers, before they are acted upon: the first one at once, and then at most one in 5 ms,
 * with what came meanwhile. More than fits in one is dropped: this broker asks, too (D92).
 */
import { unpackHint } from '../../store/hint-codec.js';
import { HINT_PAUSE_MS, Hints } from '../../store/hints.js';
import type { Hint } from '../../store/store.js';
import type { Clock, Timer } from './clock.js';

/** So much is read between two hints, with what reading one takes besides its bytes. */
const READ_BYTES_MAX = 16_384;
const OVERHEAD_BYTES = 64;

export class HeardHints {
  readonly #clock: Clock;
  readonly #hints: Hints;
  #readBytes = 0;
  #timer: Timer | null = null;

  constructor(clock: Clock, act: (hint: Hint) => void) {
    this.#clock = clock;
    this.#hints = new Hints(act);
  }

  /** @param content as of `packHint`, from whomever */
  heard(content: Buffer): void {
    // One that is too large must not keep those after it from being read.
    if (content.length > READ_BYTES_MAX - OVERHEAD_BYTES) return;
    this.#readBytes += OVERHEAD_BYTES + content.length;
    if (this.#readBytes > READ_BYTES_MAX) return;
    const { services = [], ended = [] } = unpackHint(content) ?? {};
    for (const service of services) this.#hints.stored(service);
    for (const tail of ended) this.#hints.ended(tail);
    if (this.#timer === null) this.#act();
  }

  #act(): void {
    this.#hints.run(this.#clock.now());
    this.#timer = this.#clock.later(HINT_PAUSE_MS, () => {
      this.#timer = null;
      this.#readBytes = 0;
      if (this.#hints.dueAt < Infinity) this.#act();
    });
  }
}
