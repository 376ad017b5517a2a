/**
 * Seeds that found a defect, with its description. A change of the simulation gives these seeds
 * other worlds: then break the broker in the same way and find the defect again.
 */
import { Tally } from './actors/tally.js';
import { runSharedSeed } from './shared/seeds.js';
import { runSeed } from './world/seeds.js';

describe('what the simulation once found stays mended', () => {
  it.each([
    [92, 'a worker that does not read is given nothing after a new READY either'],
    [87, 'a second reply is unexpected though an earlier delivery was lost in silence (D8)'],
    [514, 'the silence of a worker that is busy for too long is noticed in time (D5)'],
    [524, 'the silence of a worker counts as long as any of its requests is overdue (D5, D23)'],
    [1149, 'a pirate that begins anew while the broker drains is forgotten (D33)'],
  ])('seed %i: %s', (seed) => runSeed(seed, new Tally()));

  it.each([
    [30200, 'what a worker had before a new session is not sent again without a claim (D90)'],
    [30320, 'of a request that is claimed again, the attempts of other brokers count (D90)'],
    [30948, 'a question after a close is not answered by a look-up from before it (D90)'],
    [21085, 'a connection that breaks in silence while all heals is noticed'],
  ])('seed %i of a shared database: %s', async (seed) => {
    await runSharedSeed(seed, new Tally());
  });
});
