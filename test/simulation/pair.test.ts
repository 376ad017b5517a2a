import { Tally } from './actors/tally.js';
import { runPairSeed } from './pair/seeds.js';

/** `npm run soak -- --search` runs as many as one likes. */
const SEEDS = 20;
/** A minute of simulated time. */
const CALM_SEEDS = 10;

describe('in a simulated world of two nodes that crash, pause, lose each other and fail to write', () => {
  it(`every promise of the pair is kept (docs/protocol.md, D13 to D21): ${SEEDS} seeds`, () => {
    const tally = new Tally();
    for (let seed = 1; seed <= SEEDS; seed++) runPairSeed(seed, tally);
    // Worlds in which nothing happens prove nothing.
    for (const figure of ['failovers', 'splits', 'hand-overs', 'requests joined']) {
      expect(tally.figures.get(figure)).toBeGreaterThan(0);
    }
    expect(tally.figures.get('checked receipts')).toBeGreaterThan(SEEDS);
    for (const fault of ['node crashes', 'node stands still', 'link is stalled', 'store full']) {
      expect(tally.faults.get(fault)).toBeGreaterThan(0);
    }
  });

  it('disks that take three heartbeats and a peer that catches up cost no failover (D19)', () => {
    const tally = new Tally();
    for (let seed = 1; seed <= CALM_SEEDS; seed++) runPairSeed(seed, tally, { isCalm: true });
    expect(tally.figures.get('failovers')).toBeUndefined();
    expect(tally.faults.get('node crashes')).toBeGreaterThan(0);
    expect(tally.figures.get('checked receipts')).toBeGreaterThan(CALM_SEEDS);
  });
});
