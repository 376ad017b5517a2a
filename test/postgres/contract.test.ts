import { randomBytes } from 'node:crypto';

import { placeOf } from '../../src/core/postgres-url.js';
import { openPostgresStore } from '../../src/titanic/io/postgres/postgres-store.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { describeStoreContract } from '../support/store-contract.js';
import type { OpenStore } from '../support/store-user.js';

const cluster = sharedCluster();

function ignored(): void {}

function describeContract(title: string, hints: boolean): void {
  describeStoreContract(
    title,
    async () => {
      const server = await cluster();
      const name = await server.database();
      const place = placeOf(server.url(name));
      if (typeof place === 'string') throw new Error(place);
      const home = randomBytes(16).toString('hex');
      const open: OpenStore = (events) =>
        openPostgresStore(
          {
            login: { place, passwordFile: null, isLoopback: true },
            ...{ name, timeoutMs: 60_000, leaseMs: 10_000, node: 'test', home, storeId: null },
            hints,
          },
          Object.assign(events, {
            ...{ kept: ignored, taken: ignored, counted: ignored },
            ...{ claimed: ignored, claimFailed: ignored, hinted: ignored },
          }),
          () => undefined,
        );
      return { open, remove: async () => {} };
    },
    { isOfPair: false, isShared: true },
  );
}

describeWithPostgres('a database', () => {
  describeContract('PostgreSQL', true);
  // As other engines are that speak its protocol.
  describeContract('PostgreSQL without NOTIFY', false);
});
