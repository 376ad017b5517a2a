import type { RandomFill } from '../../src/core/random.js';

/** Bytes that depend only on the seed, from 1 to 2^32 - 1. (Marsaglia's xorshift.) */
export function seededRandom(seed: number): RandomFill {
  let state = seed >>> 0;
  return (target) => {
    for (let at = 0; at < target.length; at++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      target[at] = state >>> 11;
    }
  };
}
