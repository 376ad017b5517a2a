/**
 * A fleet with a database, its synchronous standby, and NATS. Each of these processes is killed and
 * stopped in turn, while clients at every broker store requests and send plain ones.
 */
import { present } from '../../src/core/assert.js';
import { ask, atEnd, clientOf, endAll, serve, upper } from '../support/daemon-users.js';
import { type Daemon, type DaemonOptions, startDaemon } from '../support/daemon.js';
import { FleetLoad } from '../support/fleet-load.js';
import { NatsServer } from '../support/nats-server.js';
import { type Cluster, clusterWithStandby } from '../support/postgres-cluster.js';
import { describeWithPostgres } from '../support/postgres.js';
import { itWithTool } from '../support/tools.js';
import { until } from '../support/until.js';
import { LONG_TEST_MS } from '../support/patience.js';

const NAMES = ['a', 'b', 'c'];
interface Fleet {
  readonly brokers: Daemon[];
  readonly primary: Cluster;
  readonly standby: Cluster;
  readonly nats: NatsServer;
  readonly database: string;
  start(name: string, more?: DaemonOptions): Promise<Daemon>;
}

async function fleet(): Promise<Fleet> {
  const { primary, standby, database } = await clusterWithStandby();
  atEnd(async () => {
    await Promise.all([primary.remove(), standby.remove()]);
  });
  const nats = await NatsServer.start();
  const start = (name: string, more: DaemonOptions = {}): Promise<Daemon> =>
    startDaemon({
      ...more,
      sets: [
        ...[`node.name=${name}`, `titanic.store=${primary.url(database)}`, 'fleet.leaseMs=1500'],
        'titanic.storeTimeoutMs=2000',
        ...[`fleet.nats=${nats.url}`, 'broker.heartbeatIntervalMs=200'],
      ],
    });
  const brokers = await Promise.all(NAMES.map((name) => start(name)));
  return { brokers, primary, standby, nats, database, start };
}

describeWithPostgres('each process of a fleet is killed and stopped in turn, under load', () => {
  afterEach(endAll);

  itWithTool(
    'nats-server',
    'every receipt is honoured by every broker, and every plain request is answered',
    async () => {
      const all = await fleet();
      const { brokers, primary, standby, nats, database } = all;
      const [a, b] = brokers as [Daemon, Daemon, Daemon];
      serve(a, 'kept', upper, { concurrency: 8 });
      serve(b, 'kept', upper, { concurrency: 8 });
      serve([a, b], 'plain', undefined, { concurrency: 8 });
      const load = new FleetLoad(brokers);
      await load.progress('all are served');

      for (const [n, name] of NAMES.entries()) {
        const isOther = (lane: number): boolean => lane !== n;
        const killed = present(brokers[n], 'a broker');
        await killed.kill();
        await load.progress(`${name} is killed: the others serve`, isOther);
        const { endpoint, dataDir } = killed;
        const broker = await all.start(name, { endpoint, dataDir });
        brokers[n] = broker;
        await load.progress(`${name} is back`);

        const hasSession = async (): Promise<boolean> => {
          const [sessions] = await primary.sql(
            `SELECT count(*)::int AS n FROM majordomo.broker WHERE node = '${name}' AND NOT dead`,
            database,
          );
          return sessions?.['n'] !== 0;
        };
        broker.signal('SIGSTOP');
        await until(async () => !(await hasSession()), `the others end the session of ${name}`);
        await load.progress(`${name} is stopped: the others serve`, isOther);
        broker.signal('SIGCONT');
        // Its log may tell that the store was lost instead: a connection was late, too.
        await until(hasSession, `${name} takes a new session`);
        await load.progress(`${name} goes on`);
      }

      /** While it is away, nothing is stored, and plain requests go on. */
      const withoutStore = async (what: string): Promise<void> => {
        const before = load.refused.length;
        await until(() => load.refused.length >= before + NAMES.length, `${what}: 500`);
        await load.progress(`${what}: plain requests`, (lane) => lane >= NAMES.length);
      };
      await standby.kill();
      await withoutStore('the standby is killed');
      await standby.start();
      await load.progress('the standby is back');
      standby.signal('SIGSTOP');
      await withoutStore('the standby is stopped');
      standby.signal('SIGCONT');
      await load.progress('the standby goes on');
      await primary.kill();
      await withoutStore('the primary is killed');
      await primary.start();
      await load.progress('the primary is back');
      primary.signal('SIGSTOP');
      await withoutStore('the primary is stopped');
      primary.signal('SIGCONT');
      await load.progress('the primary goes on');

      /** NATS is away, and back. The third broker has no workers: its plain requests travel. */
      const withoutNats = async (begins: () => unknown, ends: () => unknown): Promise<void> => {
        const times = brokers.map((broker) => broker.logged('fleet.disconnected').length + 1);
        await begins();
        await Promise.all(
          brokers.map((broker, n) => broker.waitFor('fleet.disconnected', times[n] ?? 1)),
        );
        await load.progress('without NATS');
        await ends();
        expect(await ask(clientOf(present(brokers[2], 'the third')), 'plain', 'travels')).toEqual([
          'travels',
        ]);
        await load.progress('with NATS');
      };
      await withoutNats(
        () => nats.kill(),
        () => nats.starts(),
      );
      await withoutNats(
        () => nats.signal('SIGSTOP'),
        () => nats.signal('SIGCONT'),
      );

      await load.stop();
      expect(load.receipts.size).toBeGreaterThan(0);
      for (const broker of brokers) {
        expect(await load.wrongAt(broker)).toEqual([]);
        // None has ended by itself.
        expect(broker.ended).toBe(false);
      }
      // Nor does anything wait of which no client has a receipt.
      await until(async () => {
        const [left] = await primary.sql(
          'SELECT count(*)::int AS n FROM majordomo.request WHERE state = 1',
          database,
        );
        return left?.['n'] === 0;
      }, 'all that is stored is served');
    },
    LONG_TEST_MS,
  );
});
