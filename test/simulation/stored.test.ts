import { describe, expect, it } from '@jest/globals';
import { Tally } from './actors/tally.js';
import { runStoredSeed } from './stored/seeds.js';

const SEEDS = 60;

describe('in a simulated world of crashes, failing disks, lost workers and impatient clients', () => {
  it.each([0, 1, 2, 3].map((part) => 1 + part * SEEDS))(
    `every promise of titanic.* is kept (docs/protocol.md, D17): ${SEEDS} seeds from %i`,
    (from) => {
      const tally = new Tally();
      for (let seed = from; seed < from + SEEDS; seed++) runStoredSeed(seed, tally);
      // Worlds in which nothing happens prove nothing.
      expect(tally.requests).toBeGreaterThan(SEEDS);
      expect(tally.replies).toBeGreaterThan(SEEDS);
      expect(tally.faults.get('node crashes')).toBeGreaterThan(SEEDS / 2);
      for (const fault of ['store full', 'store busy', 'store cannot read']) {
        expect(tally.faults.get(fault)).toBeGreaterThan(0);
      }
    },
  );
});
