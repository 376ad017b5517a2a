import { postgresPlace } from '../support/postgres-place.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { describeQueriesContract } from '../support/queries-contract.js';
import { describeStoreContract } from '../support/store-contract.js';

const cluster = sharedCluster();

describeWithPostgres('a database', () => {
  describeStoreContract('PostgreSQL', async () => await postgresPlace(await cluster()), {
    isOfPair: false,
    isShared: true,
  });
  describeQueriesContract('PostgreSQL', async () => await postgresPlace(await cluster()), {
    isShared: true,
  });
});
