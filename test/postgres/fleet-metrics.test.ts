/** The metrics of a fleet, as a scrape of real brokers with NATS and a database sees them. */
import { ask, atEnd, clientOf, endAll, serve } from '../support/daemon-users.js';
import { type Daemon, startDaemon } from '../support/daemon.js';
import { ask as askHttp, httpOf } from '../support/http.js';
import { MetricsPage } from '../support/metrics.js';
import { NatsServer } from '../support/nats-server.js';
import { Cluster } from '../support/postgres-cluster.js';
import { describeWithPostgres } from '../support/postgres.js';
import { itWithTool } from '../support/tools.js';
import { until } from '../support/until.js';
import { LONG_TEST_MS } from '../support/patience.js';

/** What happens to these brokers is seen in them. */
const NAMES = [
  ...['fleet_interconnect_up', 'fleet_peers', 'titanic_store_up', 'titanic_claims_lost_total'],
  ...['fleet_requests_bridged_total', 'fleet_requests_returned_total'],
];

afterEach(endAll);

async function counted(daemon: Daemon): Promise<Record<string, number>> {
  const { text } = await askHttp(`${httpOf(daemon)}/metrics`);
  return new MetricsPage(text).counted(...NAMES);
}

/** How long the oldest pending request of the service has waited, in seconds. */
async function oldestOf(daemon: Daemon, service: string): Promise<number> {
  const { text } = await askHttp(`${httpOf(daemon)}/metrics`);
  const name = 'titanic_oldest_pending_seconds';
  return new MetricsPage(text).counted(name)[`${name}{service="${service}"}`] ?? 0;
}

/** Waits until what is other than 0 of these metrics is just that. */
async function shows(daemon: Daemon, wanted: Readonly<Record<string, number>>): Promise<void> {
  let found: Record<string, number> = {};
  const isShown = async (): Promise<boolean> => {
    found = await counted(daemon);
    const isThere = Object.entries(wanted).every(([name, value]) => found[name] === value);
    return isThere && Object.keys(found).length === Object.keys(wanted).length;
  };
  await until(isShown, 'the metrics').catch(() => undefined);
  expect(found).toEqual(wanted);
}

describeWithPostgres('the metrics of two brokers with NATS and a database', () => {
  itWithTool(
    'nats-server',
    'count what travels, what is lost on the way, and claims that ended; they show what is away',
    async () => {
      const server = await Cluster.make();
      atEnd(() => server.remove());
      const url = server.url(await server.database());
      const nats = await NatsServer.start();
      const starting = ['a', 'b'].map((name) =>
        startDaemon({
          sets: [
            ...[`node.name=${name}`, `titanic.store=${url}`, 'titanic.storeTimeoutMs=3000'],
            // Claims end only by what the test does, however long the machine stalls.
            ...['fleet.leaseMs=60000', `fleet.nats=${nats.url}`, 'http.listen=127.0.0.1:0'],
          ],
        }),
      );
      const [a, b] = (await Promise.all(starting)) as [Daemon, Daemon];
      const well = { fleet_interconnect_up: 1, fleet_peers: 1, titanic_store_up: 1 };
      await shows(a, well);
      await shows(b, well);

      // No broker has it, and each knows how long it waits.
      const client = clientOf(b);
      expect(await ask(client, 'titanic.request', 'never', 'x')).toHaveLength(2);
      for (const each of [a, b]) {
        await until(async () => (await oldestOf(each, 'never')) > 0, 'its age');
      }

      serve(a, 'echo');
      expect(await ask(client, 'echo', 'hi')).toEqual(['hi']);
      const held = { ...well, 'fleet_requests_bridged_total{direction="in"}': 1 };
      const sent = { ...well, 'fleet_requests_bridged_total{direction="out"}': 1 };
      await shows(a, held);
      await shows(b, sent);

      // Closed at b while a worker at a has it: the reply comes too late.
      let finish: () => void = () => undefined;
      const taken = serve(a, 'kept', async () => {
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        return 'late';
      });
      const [, uuid = ''] = await ask(client, 'titanic.request', 'kept', 'x');
      await until(() => taken.length === 1, 'a worker has it');
      expect(await ask(client, 'titanic.close', uuid)).toEqual(['200']);
      finish();
      await shows(a, { ...held, titanic_claims_lost_total: 1 });
      await shows(b, sent);

      await nats.kill();
      const without = { 'fleet_requests_bridged_total{direction="out"}': 1, titanic_store_up: 1 };
      await shows(b, without);
      await nats.starts();
      await shows(b, sent);

      // The worker that has it dies with its broker; another one answers.
      const slow = serve(a, 'slow', () => new Promise<string>(() => undefined));
      const answer = ask(client, 'slow', 'x');
      await until(() => slow.length === 1, 'a worker at a has it');
      await a.kill();
      const alone = {
        ...{ fleet_interconnect_up: 1, titanic_store_up: 1 },
        'fleet_requests_bridged_total{direction="out"}': 2,
        'fleet_requests_returned_total{reason="lost"}': 1,
      };
      await shows(b, alone);
      serve(b, 'slow');
      expect(await answer).toEqual(['x']);

      await server.stop();
      await b.waitFor('store.lost');
      const { titanic_store_up: _up, ...away } = alone;
      await shows(b, away);
      await server.start();
      await b.waitFor('store.returned');
      await shows(b, alone);
    },
    LONG_TEST_MS,
  );
});
