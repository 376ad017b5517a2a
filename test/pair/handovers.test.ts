import { handOver } from '../chaos/handovers.js';
import { removePairs } from '../support/pair-daemons.js';
import { LONG_TEST_MS } from '../support/patience.js';

afterEach(removePairs);

it(
  'a switchover and a restart are no deaths: no request runs twice, and none fails',
  async () => {
    const tally = await handOver({ switchovers: 5, restarts: 2, handlerMs: 500 });
    expect(tally).toEqual({ answered: expect.any(Number), secondRuns: 0, failed: {} });
  },
  LONG_TEST_MS,
);
