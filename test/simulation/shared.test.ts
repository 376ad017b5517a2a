import { Tally } from './actors/tally.js';
import { runSharedSeed } from './shared/seeds.js';

const SEEDS = 200;

describe('brokers on one database, which goes away, and brokers that are paused, cut off and killed', () => {
  it(`every promise of titanic.* is kept by all of them (docs/protocol.md, D90): ${SEEDS} seeds`, async () => {
    const tally = new Tally();
    for (let seed = 1; seed <= SEEDS; seed++) await runSharedSeed(seed, tally);
    // Worlds in which nothing happens prove nothing.
    expect(tally.requests).toBeGreaterThan(SEEDS);
    expect(tally.replies).toBeGreaterThan(SEEDS);
    for (const fault of [
      'database goes away',
      'broker is cut off',
      'broker is paused',
      'broker ends',
      'session of another is ended',
      'session is taken anew',
      'connection breaks: lost',
      'connection breaks: done',
      'connection breaks: late',
      'connection breaks: delayed',
      'rows are locked',
      'locked',
      'a lock is waited for in vain',
      'rows are refused',
      'refused',
      'the server says P0001',
      'the server says 40001',
      'retried serialization',
      'schedule is made',
      'schedule is ended',
    ]) {
      expect([fault, (tally.faults.get(fault) ?? 0) > 0]).toEqual([fault, true]);
    }
  });
});
