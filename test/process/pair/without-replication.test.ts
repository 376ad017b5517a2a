import { Client } from '../../../src/sdk/client.js';
import { removePairs, startPairOfDaemons } from '../../support/pair-daemons.js';

afterEach(removePairs);

describe('a pair with titanic.replication off', () => {
  it('stores requests, each node its own', async () => {
    const pair = await startPairOfDaemons({ direct: true, sets: ['titanic.replication=off'] });
    await pair.inSync();
    const client = new Client({ endpoints: pair.endpoints });
    try {
      const { uuid } = await client.submit('echo', 'hi');
      expect(uuid).toMatch(/^[0-9A-Fa-f]{32}$/);
    } finally {
      await client.close();
    }
  });
});
