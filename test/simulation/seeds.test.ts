import { describe, expect, it } from '@jest/globals';
import { Tally } from './actors/tally.js';
import { runSeed } from './world/seeds.js';

/** `npm run soak` runs as many as one likes. */
const SEEDS = 100;

describe('in a simulated world of clients, workers and a network that fails', () => {
  it.each([1, 1 + SEEDS])(
    `the broker does what the model says, step by step: ${SEEDS} seeds from %i`,
    (from) => {
      const tally = new Tally();
      for (let seed = from; seed < from + SEEDS; seed++) runSeed(seed, tally);
      // Worlds in which nothing happens prove nothing.
      expect(tally.requests).toBeGreaterThan(SEEDS);
      expect(tally.replies).toBeGreaterThan(SEEDS);
      expect(tally.faultCount).toBeGreaterThan(SEEDS);
    },
  );
});
