/** Groups of requests, and their limits, with a store that several brokers share (D118). */
import { setTimeout as sleep } from 'node:timers/promises';

import { FORMAT } from '../../src/extensions/postgres/schema.js';
import { run } from '../support/child.js';
import { clientOf, endAll, serve } from '../support/daemon-users.js';
import { type Daemon, startDaemon } from '../support/daemon.js';
import { changedProgram } from '../support/later-program.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { until } from '../support/until.js';

const FLOOD = 2000;
const TENANTS = ['a', 'b', 'c', 'd', 'e'];

const cluster = sharedCluster();

afterEach(endAll);

/** The program of the format before, which does not know of groups when it claims. */
function earlierProgram(): string {
  return changedProgram((change) => {
    const format = 'export const FORMAT';
    change('extensions/postgres/schema.js', format, `MIGRATIONS.pop();\n${format}`);
    change(
      'extensions/postgres/statements.js',
      'HAS_GROUPS} AS has_groups',
      'false} AS has_groups',
    );
  });
}

async function flood(broker: Daemon): Promise<void> {
  const client = clientOf(broker);
  const all = Array.from({ length: FLOOD }, (_, n) =>
    client.enqueue('work', `flood ${n}`, { group: 'flood' }),
  );
  await Promise.all(all);
}

async function eachTenant(broker: Daemon): Promise<string[]> {
  const jobs = TENANTS.map(async (group) => {
    const job = await clientOf(broker).enqueue('work', group, { group });
    return (await job.result()).text();
  });
  return await Promise.all(jobs);
}

describeWithPostgres('groups of requests in a database', () => {
  it('that are full are not claimed and given back, and nobody waits behind their queues', async () => {
    const server = await cluster();
    const database = await server.database();
    const sets = [
      `titanic.store=${server.url(database)}`,
      'broker.services=[{match: work, group: {running: 1}}]',
      // What workers run is known soon.
      ...['broker.heartbeatIntervalMs=200', 'broker.heartbeatLiveness=3'],
    ];
    const perBroker = expect.stringContaining('each broker counts for itself');
    const checked = await run(['check', ...sets.flatMap((set) => ['--set', set])]);
    expect(checked).toMatchObject({ status: 0, stderr: perBroker });
    const start = (name: string): Promise<Daemon> =>
      startDaemon({ sets: [...sets, `node.name=${name}`] });
    const [one, other] = [await start('one'), await start('other')];
    expect(one.logged('limits.per_broker')).toMatchObject([{ msg: perBroker }]);
    await flood(one);
    const ended = { flood: 0 };
    const gate = Promise.withResolvers<undefined>();
    const handle = async (text: string): Promise<string> => {
      if (text.startsWith('flood')) {
        await gate.promise;
        ended.flood++;
      }
      return text;
    };
    for (const broker of [one, other]) serve(broker, 'work', handle, { concurrency: 8 });
    const claims = async (): Promise<number[]> => {
      const [row] = await server.sql(
        `SELECT sum(claim)::int AS claims, count(session)::int AS held FROM majordomo.request
          WHERE state = 1 AND kind = 0`,
        database,
      );
      return [Number(row?.['claims']), Number(row?.['held'])];
    };
    await until(async () => (await claims())[1] === 2, 'each broker runs one of the flood');
    expect(await eachTenant(one)).toEqual(TENANTS);
    const before = await claims();
    // Eight polls of each broker.
    await sleep(2000);
    expect(await eachTenant(other)).toEqual(TENANTS);
    expect(await claims()).toEqual(before);
    gate.resolve(undefined);
    await until(() => ended.flood >= 100, 'the flood goes on');
  });

  it('are claimed also by a broker of the format before, which uses these tables', async () => {
    const server = await cluster();
    const database = await server.database();
    const sets = [`titanic.store=${server.url(database)}`];
    const earlier = await startDaemon({
      sets: [...sets, 'node.name=earlier'],
      program: earlierProgram(),
    });
    const later = await startDaemon({ sets: [...sets, 'node.name=later'] });
    const [row] = await server.sql('SELECT format FROM majordomo.meta', database);
    expect(row?.['format']).toBe(FORMAT);
    serve(earlier, 'work', (text) => `${text} at the earlier one`);
    const job = await clientOf(later).enqueue('work', 'a', { group: 'a' });
    expect((await job.result()).text()).toBe('a at the earlier one');
    serve(later, 'other', (text) => `${text} at the later one`);
    const back = await clientOf(earlier).enqueue('other', 'b', { group: 'b' });
    expect((await back.result()).text()).toBe('b at the later one');
    for (const broker of [earlier, later]) expect(broker.logged('store.session_lost')).toEqual([]);
  });
});
