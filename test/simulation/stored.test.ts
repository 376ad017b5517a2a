import { Tally } from './actors/tally.js';
import { runStoredSeed } from './stored/seeds.js';

/** `npm run soak -- --search` runs as many as one likes. */
const SEEDS = 30;

describe('in a simulated world of crashes, failing disks, lost workers and impatient clients', () => {
  it(`every promise of titanic.* is kept (docs/protocol.md, D17): ${SEEDS} seeds`, () => {
    const tally = new Tally();
    for (let seed = 1; seed <= SEEDS; seed++) runStoredSeed(seed, tally);
    // Worlds in which nothing happens prove nothing.
    expect(tally.requests).toBeGreaterThan(SEEDS);
    expect(tally.replies).toBeGreaterThan(SEEDS);
    expect(tally.faults.get('node crashes')).toBeGreaterThan(SEEDS / 2);
    for (const fault of ['store full', 'store busy', 'store cannot read']) {
      expect(tally.faults.get(fault)).toBeGreaterThan(0);
    }
  });
});
