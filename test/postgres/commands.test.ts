import { afterEach } from '@jest/globals';

import { endAll } from '../support/daemon-users.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { describeTitanicCommands } from '../support/titanic-commands.js';

const cluster = sharedCluster();

afterEach(endAll);

describeWithPostgres('the operator of stored requests', () => {
  describeTitanicCommands('of a database', async () => {
    const server = await cluster();
    return [`titanic.store=${server.url(await server.database())}`];
  });
});
