import { Tally } from './actors/tally.js';
import { runFleetSeed } from './fleet/seeds.js';

/** `npm run soak -- --search` runs as many as one likes. */
const SEEDS = 6;

describe('in a simulated fleet on a bus that loses, repeats and delays', () => {
  it(`every promise of the fleet is kept (D83 to D88): ${SEEDS} seeds`, () => {
    const tally = new Tally();
    for (let seed = 1; seed <= SEEDS; seed++) runFleetSeed(seed, tally);
    // Worlds in which nothing happens prove nothing.
    expect(tally.figures.get('bridged')).toBeGreaterThan(SEEDS * 10);
    expect(tally.replies).toBeGreaterThan(SEEDS * 20);
    for (const fault of ['packs lost', 'packs repeated', 'brokers killed', 'brokers stopped']) {
      expect(tally.faults.get(fault)).toBeGreaterThan(0);
    }
  });
});
