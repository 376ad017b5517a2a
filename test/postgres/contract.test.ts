import { postgresPlace } from '../support/postgres-place.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { describeQueriesContract } from '../support/queries-contract.js';
import { describeStoreContract } from '../support/store-contract.js';

const cluster = sharedCluster();

function describeContract(title: string, hints: boolean): void {
  describeStoreContract(title, async () => postgresPlace(await cluster(), hints), {
    isOfPair: false,
    isShared: true,
  });
}

describeWithPostgres('a database', () => {
  describeContract('PostgreSQL', true);
  // As other engines are that speak its protocol.
  describeContract('PostgreSQL without NOTIFY', false);
  describeQueriesContract('PostgreSQL', async () => postgresPlace(await cluster(), true), {
    isShared: true,
  });
});
