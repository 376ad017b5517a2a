/** Seeded randomness, the only source of chance in a simulated world. */

const GOLDEN = 0x9e3779b9;

/** SplitMix32: one word of state, and seeds that differ by one give unrelated sequences. */
function mix(state: number): number {
  let word = state | 0;
  word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
  word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
  return (word ^ (word >>> 15)) >>> 0;
}

export class SimRandom {
  readonly #seed: number;
  #state: number;

  constructor(seed: number) {
    this.#seed = mix(seed);
    this.#state = this.#seed;
  }

  /**
   * An independent source, whatever was drawn from this one: removing one actor changes no other.
   */
  fork(label: number): SimRandom {
    return new SimRandom(this.#seed ^ Math.imul(label + 1, GOLDEN));
  }

  word(): number {
    this.#state = (this.#state + GOLDEN) | 0;
    return mix(this.#state);
  }

  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number {
    return min + Math.floor((this.word() / 0x1_0000_0000) * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.word() / 0x1_0000_0000 < probability;
  }

  pick<T>(from: readonly [T, ...T[]]): T {
    return from[this.int(0, from.length - 1)] ?? from[0];
  }

  /** As `RandomFill` of core/random. */
  fill(target: Buffer): void {
    for (let at = 0; at < target.length; at += 4) {
      const word = this.word();
      for (let i = at; i < at + 4 && i < target.length; i++) target[i] = word >>> ((i - at) * 8);
    }
  }
}
