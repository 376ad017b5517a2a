import { Tally } from './actors/tally.js';
import { runSessionsSeed } from './sessions/seeds.js';
import { FAULTS } from './sessions/weather.js';

/** `npm run soak -- --search` runs as many as one likes. */
const SEEDS = 200;

describe('in a simulated world of sessions, with the clients and workers of the SDK beside others', () => {
  it(`a request runs again only if its worker or its broker was lost, and not even then with \`once\`, and groups have their turns and limits (D116, D117, D118): ${SEEDS} seeds`, () => {
    const tally = new Tally();
    for (let seed = 1; seed <= SEEDS; seed++) runSessionsSeed(seed, tally);
    // Worlds in which nothing happens prove nothing.
    expect(tally.requests).toBeGreaterThan(SEEDS * 10);
    expect(tally.replies).toBeGreaterThan(SEEDS * 10);
    expect(tally.figures.get('requests that ran again')).toBeGreaterThan(SEEDS / 20);
    expect(tally.figures.get('runs that a later broker counts')).toBeGreaterThan(SEEDS / 20);
    for (const fault of [...FAULTS, 'request resumed', 'client turns to another broker']) {
      expect(tally.faults.get(fault)).toBeGreaterThan(SEEDS / 10);
    }
    for (const end of ['refused 408', 'refused 502', 'refused 503', 'refused 520']) {
      expect(tally.faults.get(end)).toBeGreaterThan(0);
    }
  });
});
