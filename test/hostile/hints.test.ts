/** Hints that a role of the database sends that may only connect to it. */
import { cleanUp } from '../process/broker/support.js';
import { ask, atEnd, clientOf, endAll, serve } from '../support/daemon-users.js';
import { Attacker } from '../support/attacker.js';
import { startDaemon } from '../support/daemon.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { Siege } from './siege.js';

/** How often a request that one broker stores is to reach the worker at another one. */
const ASKED = 20;

describeWithPostgres('a role that may only connect to the database', () => {
  const cluster = sharedCluster();

  afterEach(async () => {
    await endAll();
    await cleanUp();
  });

  it('floods the channel of hints: all are served, memory stays bounded, and the log tells of it', async () => {
    const server = await cluster();
    await server.sql('CREATE ROLE stranger LOGIN');
    const database = await server.database();
    const sets = [`titanic.store=${server.url(database)}`];
    const siege = await Siege.begin(...sets, 'node.name=one');
    const other = await startDaemon({ sets: [...sets, 'node.name=other'] });
    serve(other, 'far', (text) => text);
    const client = clientOf(siege.daemon);
    const asks = async (): Promise<void> => {
      const [status, uuid = ''] = await ask(client, 'titanic.request', 'far', 'x');
      expect(status).toBe('200');
      expect(await ask(client, 'titanic.wait', uuid, '60000')).toEqual(['200', 'x']);
    };
    await asks();
    const before = await siege.heldBytes();
    const attack = { count: 2 };
    const attacker = await Attacker.prepare('hints', server.url(database, 'stranger'), attack);
    atEnd(async () => attacker.kill());
    await attacker.begin();
    await siege.daemon.waitFor('store.flooded');
    // Each of them is found, whatever hint is dropped.
    for (let asked = 0; asked < ASKED; asked++) await asks();
    await siege.served();
    await siege.bounded(before);
    expect(await attacker.end()).toBeGreaterThan(10_000);
    await siege.end();
  });
});
