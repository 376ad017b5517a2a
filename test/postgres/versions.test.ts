/** Brokers of several versions: they are upgraded one after the other, or one is too new. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { present } from '../../src/core/assert.js';
import { FORMAT } from '../../src/extensions/postgres/schema.js';
import { run } from '../support/child.js';
import { ask, clientOf, endAll, serve, upper } from '../support/daemon-users.js';
import { Daemon, type DaemonOptions, startDaemon, temporaryDirectory } from '../support/daemon.js';
import { FleetLoad } from '../support/fleet-load.js';
import { laterProgram } from '../support/later-program.js';
import { NatsServer } from '../support/nats-server.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { itWithTool } from '../support/tools.js';
import { until } from '../support/until.js';
import { LONG_TEST_MS } from '../support/patience.js';

const NAMES = ['a', 'b', 'c'];
const cluster = sharedCluster();

afterEach(endAll);

async function formatOf(database: string): Promise<unknown> {
  const [row] = await (await cluster()).sql('SELECT format FROM majordomo.meta', database);
  return row?.['format'];
}

/** Why packs were dropped, but for those that a loss makes useless. */
function dropped(broker: Daemon): unknown[] {
  const reasons = broker.logged('fleet.pack_dropped').map(({ reason }) => reason);
  return reasons.filter((reason) => reason === 'version' || reason === 'garbage');
}

describeWithPostgres('brokers of two versions', () => {
  itWithTool(
    'nats-server',
    'are upgraded one after the other under load: the tables change while others serve, and nothing is lost',
    async () => {
      const server = await cluster();
      const database = await server.database();
      const nats = await NatsServer.start();
      const program = laterProgram(1);
      const start = (name: string, more: DaemonOptions = {}): Promise<Daemon> =>
        startDaemon({
          ...more,
          sets: [
            ...[`node.name=${name}`, `titanic.store=${server.url(database)}`],
            ...[`fleet.nats=${nats.url}`, 'broker.heartbeatIntervalMs=200'],
          ],
        });
      const brokers = await Promise.all(NAMES.map((name) => start(name)));
      const [a, b, c] = brokers as [Daemon, Daemon, Daemon];
      serve(b, 'kept', upper, { concurrency: 8 });
      serve([a, b], 'plain', undefined, { concurrency: 8 });
      serve(a, 'at a');
      serve(c, 'at c');
      const load = new FleetLoad(brokers);
      await load.progress('the older version');
      expect(await formatOf(database)).toBe(FORMAT);
      /** Starts one again, with this program or as it was, while the others serve. */
      const again = async (n: number, what: string, more: DaemonOptions = {}): Promise<void> => {
        const before = present(brokers[n], 'a broker');
        const { endpoint, dataDir } = before;
        expect((await before.stop()).status).toBe(0);
        brokers[n] = await start(NAMES[n] ?? '', { endpoint, dataDir, ...more });
        await load.progress(what);
        // Neither has a worker for what the other one serves.
        for (const [asked, service] of [
          [brokers[2], 'at a'],
          [brokers[0], 'at c'],
        ] as const) {
          expect(await ask(clientOf(present(asked, 'a broker')), service, 'hi')).toEqual(['hi']);
        }
      };
      await again(0, 'one has the newer version', { program });
      expect(await formatOf(database)).toBe(FORMAT + 1);
      await again(1, 'the older version starts on tables of the newer one');
      expect(await formatOf(database)).toBe(FORMAT + 1);
      await again(2, 'two have the newer version', { program });
      await again(1, 'all have the newer version', { program });
      await load.stop();
      for (const broker of brokers) {
        expect(await load.wrongAt(broker)).toEqual([]);
        expect(dropped(broker)).toEqual([]);
        expect(broker.logged('store.session_lost')).toEqual([]);
      }
    },
    LONG_TEST_MS,
  );

  it('tables of the format before are brought to the next one, with all that is in them', async () => {
    const server = await cluster();
    const database = await server.database();
    const sets = [`titanic.store=${server.url(database)}`];
    const first = await startDaemon({ sets });
    const stored = await clientOf(first).submit('upper', 'hello', { idempotencyKey: 'k' });
    expect((await first.stop()).status).toBe(0);
    // Two at the same time: one waits for the other.
    const later = { sets, program: laterProgram(1) };
    const both = await Promise.all([startDaemon(later), startDaemon(later)]);
    expect(await formatOf(database)).toBe(FORMAT + 1);
    for (const broker of both) serve(broker, 'upper', upper);
    for (const broker of both) {
      const client = clientOf(broker);
      expect(await ask(client, 'titanic.wait', stored.uuid, '30000')).toEqual(['200', 'HELLO']);
      const same = await client.submit('upper', 'hello', { idempotencyKey: 'k' });
      expect(same.uuid).toBe(stored.uuid);
    }
  });
});

describeWithPostgres('brokers two versions apart', () => {
  it('have no tables in common: exit 78, which says what to do', async () => {
    const server = await cluster();
    const url = server.url(await server.database());
    const sets = [`titanic.store=${url}`];
    const newer = await startDaemon({ sets, program: laterProgram(2) });
    await newer.stop();
    const refusal = expect.stringContaining(
      `the tables have format ${FORMAT + 2}, and this program works up to ${FORMAT + 1}: use a newer program`,
    );
    const { status, stderr } = await new Daemon({ sets }).finished();
    expect([status, stderr]).toEqual([78, refusal]);
    const config = ['--set', `titanic.store=${url}`, '--set', `node.dataDir=${newer.dataDir}`];
    const backup = join(temporaryDirectory(), 'b.db');
    for (const words of [['verify'], ['backup', backup]]) {
      expect(await run([...words, ...config])).toMatchObject({ status: 78, stderr: refusal });
    }
    expect(existsSync(backup)).toBe(false);
  });

  it('the newer one does not change the tables while the older one uses them: exit 78', async () => {
    const server = await cluster();
    const database = await server.database();
    const sets = [`titanic.store=${server.url(database)}`];
    const older = await startDaemon({ sets: [...sets, 'node.name=older'] });
    const program = laterProgram(2);
    const { status, stderr } = await new Daemon({ sets, program }).finished();
    expect([status, stderr]).toEqual([
      78,
      expect.stringContaining(
        `the broker older, which uses them now, works up to ${FORMAT + 1}: upgrade it to a version in between first, or stop it`,
      ),
    ]);
    expect(await formatOf(database)).toBe(FORMAT);
    expect(await ask(clientOf(older), 'titanic.request', 'kept', 'x')).toHaveLength(2);
    await older.stop();
    await (await startDaemon({ sets, program })).stop();
    expect(await formatOf(database)).toBe(FORMAT + 2);
  });

  it('the older one, whose lease ran out while the tables changed, writes no more, and says why', async () => {
    const server = await cluster();
    const database = await server.database();
    const sets = [`titanic.store=${server.url(database)}`, 'fleet.leaseMs=1000'];
    const older = await startDaemon({ sets });
    older.signal('SIGSTOP');
    await until(async () => {
      const [row] = await server.sql(
        'SELECT lease_until < clock_timestamp() AS is_over FROM majordomo.broker',
        database,
      );
      return row?.['is_over'] === true;
    }, 'the end of its lease');
    await (await startDaemon({ sets, program: laterProgram(2) })).stop();
    older.signal('SIGCONT');
    expect(await older.waitFor('store.lost')).toMatchObject({
      text: expect.stringContaining('use a newer program'),
    });
    const [status = ''] = await ask(clientOf(older), 'titanic.request', 'kept', 'x');
    expect(status).toMatch(/^500/);
  });

  itWithTool('nats-server', "drop each other's packs, count them, and serve", async () => {
    const nats = await NatsServer.start();
    const sets = [`fleet.nats=${nats.url}`, 'http.listen=127.0.0.1:0'];
    const one = await startDaemon({ sets });
    const other = await startDaemon({ sets, program: laterProgram(2) });
    for (const broker of [one, other]) {
      const { http } = await broker.waitFor('broker.ready');
      await until(async () => {
        const text = await (await fetch(`${String(http)}/metrics`)).text();
        const line = /majordomo_fleet_packs_dropped_total\{reason="version"\} (\d+)/.exec(text);
        return Number(line?.[1]) > 2;
      }, 'they are counted');
      expect(await broker.waitFor('fleet.pack_dropped')).toMatchObject({ reason: 'version' });
      expect(broker.logged('fleet.peer_joined')).toEqual([]);
    }
    serve(one, 'plain');
    expect(await ask(clientOf(one), 'plain', 'x')).toEqual(['x']);
    // To the other one there is no worker.
    expect(await ask(clientOf(other), 'mmi.service', 'plain')).toEqual(['404']);
  });
});
