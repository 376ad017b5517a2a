import { Tally } from './actors/tally.js';
import { runMapSeed } from './map/seeds.js';
import { runPairSeed } from './pair/seeds.js';

/** `npm run soak -- --search` runs as many as one likes. */
const SEEDS = 60;
const PAIR_SEEDS = 12;
const PARTED_SEEDS = 12;

describe('in a simulated world of a map that crashes and fails to write', () => {
  it(`every promise of the map is kept (docs/protocol.md, D47 to D52): ${SEEDS} seeds`, () => {
    const tally = new Tally();
    for (let seed = 1; seed <= SEEDS; seed++) runMapSeed(seed, tally);
    // Worlds in which nothing happens prove nothing.
    expect(tally.figures.get('map: expired')).toBeGreaterThan(SEEDS / 2);
    expect(tally.figures.get('map: snapshots')).toBeGreaterThan(SEEDS);
    expect(tally.replies).toBeGreaterThan(SEEDS * 10);
    for (const fault of ['node crashes', 'store full', 'clients are cut off']) {
      expect(tally.faults.get(fault)).toBeGreaterThan(0);
    }
  });
});

describe('in a simulated world of two nodes with a map', () => {
  it(`every promise of the map is kept (D53, D54): ${PAIR_SEEDS} seeds`, () => {
    const tally = new Tally();
    for (let seed = 1; seed <= PAIR_SEEDS; seed++) runPairSeed(seed, tally, { hasMap: true });
    for (const figure of ['failovers', 'map: fixed', 'map: snapshots', 'map: expired']) {
      expect(tally.figures.get(figure)).toBeGreaterThan(0);
    }
    expect(tally.figures.get('acknowledged map changes')).toBeGreaterThan(PAIR_SEEDS * 10);
  });
});

describe('in a simulated world of two nodes that are parted, with writers of the map that stand still', () => {
  it(`no change of a writer to a key goes back, however late copies come (D121): ${PARTED_SEEDS} seeds`, () => {
    const tally = new Tally();
    for (let seed = 1; seed <= PARTED_SEEDS; seed++) runPairSeed(seed, tally, { isParted: true });
    expect(tally.figures.get('map: judged')).toBeGreaterThan(PARTED_SEEDS);
    expect(tally.faults.get("the map's writers are stalled")).toBeGreaterThan(PARTED_SEEDS);
    expect(tally.figures.get('merges')).toBeGreaterThan(0);
  });
});
