import { Tally } from './actors/tally.js';
import { runFreelanceSeed } from './freelance/seeds.js';
import { FAULTS } from './freelance/weather.js';

/** `npm run soak -- --search` runs as many as one likes. */
const SEEDS = 50;

describe('in a simulated world of three brokers that crash, freeze, drain and lose their workers', () => {
  it(`every promise of the strategy freelance is kept (docs/protocol.md, D40): ${SEEDS} seeds`, () => {
    const tally = new Tally();
    for (let seed = 1; seed <= SEEDS; seed++) runFreelanceSeed(seed, tally);
    // Worlds in which nothing happens prove nothing.
    expect(tally.requests).toBeGreaterThan(SEEDS * 10);
    expect(tally.replies).toBeGreaterThan(SEEDS * 10);
    expect(tally.figures.get('requests with a sound server')).toBeGreaterThan(SEEDS * 5);
    expect(tally.figures.get('hedges')).toBeGreaterThan(SEEDS);
    for (const fault of [...FAULTS, 'refused 503']) {
      expect(tally.faults.get(fault)).toBeGreaterThan(0);
    }
  });
});
