import { endAll, serve } from '../support/daemon-users.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { describeDurableCommands, Post } from '../support/durable-commands.js';
import { until } from '../support/until.js';

const cluster = sharedCluster();

afterEach(endAll);

async function store(): Promise<string[]> {
  const server = await cluster();
  return [`titanic.store=${server.url(await server.database())}`];
}

describeWithPostgres('the operator of durable requests', () => {
  describeDurableCommands('of a database', store);

  it('purges no pending request that a worker of another broker has', async () => {
    const sets = await store();
    const [one, other] = [await Post.open(...sets), await Post.open(...sets)];
    const [taken = ''] = await one.submits('work', 1);
    const seen = serve(other.daemon, 'work', () => new Promise<string>(() => undefined));
    await until(() => seen.length === 1, 'a worker has it');
    await one.submits('never', 3);
    expect(await one.done('purge', '--state', 'pending', '--yes')).toBe('3 deleted\n');
    expect((await other.listed()).items.map(({ uuid }) => uuid)).toEqual([taken]);
  });
});
