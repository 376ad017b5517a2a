/**
 * The numbers of the packs that came from one broker on one channel. The bus repeats and loses packs,
 * so a number that is not above the last one is old, and some may be missing. A number that no broker
 * can have reached since the last one is forged, or of a faulty broker (D104).
 */

/** Packs that come in a burst. */
const BURST = 1024;
/** More than any broker sends on a channel in a millisecond. */
const PACKS_PER_MS = 1000;
/** More than any broker has sent before its first pack here: at that rate, half a year. */
const FIRST_MAX = 2 ** 44;

export class PackNumbers {
  /** The number of the last pack; 0: none has come. */
  #last = 0;
  /**
   * Numbers up to this one are old. After a jump it is the number before the jump: if the broker goes
   * on with lower ones, the jump was not its own, and costs none of its packs.
   */
  #floor = 0;
  #lastAt = 0;

  get last(): number {
    return this.#last;
  }

  /** @returns why a pack with this number is not used; `null`: it is, if it is noted */
  fault(number: number, now: number): 'replayed' | 'jump' | null {
    if (number <= this.#floor || number === this.#last) return 'replayed';
    const gained = BURST + (now - this.#lastAt) * PACKS_PER_MS;
    return number > (this.#last === 0 ? FIRST_MAX : this.#last + gained) ? 'jump' : null;
  }

  note(number: number, now: number): void {
    if (number < this.#last || number - this.#last <= BURST) this.#floor = number;
    else this.#floor = this.#last;
    this.#last = number;
    this.#lastAt = now;
  }
}
