import { Tally } from './actors/tally.js';
import { runSeed } from './world/seeds.js';

/** `npm run soak -- --search` runs as many as one likes, and 200 others in `.ci/run`. */
const SEEDS = 100;

describe('in a simulated world of clients, workers and a network that fails', () => {
  it(`the broker does what the model says, step by step: ${SEEDS} seeds`, () => {
    const tally = new Tally();
    for (let seed = 1; seed <= SEEDS; seed++) runSeed(seed, tally);
    // Worlds in which nothing happens prove nothing.
    expect(tally.requests).toBeGreaterThan(SEEDS);
    expect(tally.replies).toBeGreaterThan(SEEDS);
    expect(tally.faultCount).toBeGreaterThan(SEEDS);
  });
});
