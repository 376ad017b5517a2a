/** The database is away for longer than a batch is tried, under writing clients. */
import { setTimeout as pause } from 'node:timers/promises';

import { atEnd, clientOf, endAll, serve } from '../support/daemon-users.js';
import { Daemon, startDaemon } from '../support/daemon.js';
import { Cluster } from '../support/postgres-cluster.js';
import { describeWithPostgres } from '../support/postgres.js';
import { Receipts } from '../support/receipts.js';
import { TcpRelay } from '../support/tcp-relay.js';
import { until } from '../support/until.js';

const OUTAGE_MS = 8000;

describeWithPostgres('an outage of the database', () => {
  afterEach(endAll);

  const outages: readonly [
    string,
    (server: Cluster, relay: TcpRelay) => { begins(): Promise<void>; ends(): Promise<void> },
  ][] = [
    [
      'its server has crashed',
      (server) => ({
        begins: () => server.stop('immediate'),
        ends: () => server.start(),
      }),
    ],
    [
      'the network is silent',
      (_server, relay) => ({
        begins: async () => relay.set('frozen'),
        ends: async () => relay.set('open'),
      }),
    ],
  ];

  it.each(outages)(
    '%s for 8 s: no receipt is missing, plain requests go on, all that is stored is served',
    async (_title, outage) => {
      const server = await Cluster.make();
      atEnd(() => server.remove());
      const relay = await new TcpRelay(server.port).listen();
      const database = await server.database();
      const daemon = await startDaemon({
        sets: [
          `titanic.store=postgresql://postgres@127.0.0.1:${relay.port}/${database}`,
          ...['titanic.storeTimeoutMs=4000', 'http.listen=127.0.0.1:0'],
        ],
      });
      const { http } = await daemon.waitFor('broker.ready');
      const readyz = async (): Promise<[number, string]> => {
        const answer = await fetch(`${String(http)}/readyz`);
        return [answer.status, await answer.text()];
      };
      const { begins, ends } = outage(server, relay);
      const plain = clientOf(daemon);
      serve(daemon, 'plain', () => 'done');
      const receipts = new Receipts(daemon.endpoint, 3);
      await until(() => receipts.given.length > 200, 'receipts');
      await begins();
      const over = pause(OUTAGE_MS);
      await daemon.waitFor('store.lost');
      await until(() => receipts.refused.length >= 3, 'each client is refused');
      await until(async () => {
        const [status, text] = await readyz();
        return status === 200 && text.includes('store_lost');
      }, 'it is ready, and says what is lost');
      expect((await plain.request('plain', 'x')).text()).toBe('done');
      await over;
      await ends();
      const before = receipts.given.length;
      await until(() => receipts.given.length > before + 200, 'receipts again');
      await receipts.stop();
      expect(receipts.refused.filter(({ status }) => !status.startsWith('500 '))).toEqual([]);
      expect(await receipts.missing(server, database)).toEqual([]);
      await until(async () => !(await readyz())[1].includes('store_'), 'ready');
      // Another line only if there is something else to say: how the connection fails may change.
      const losses = daemon.logged('store.lost').map(({ msg }) => msg);
      expect(new Set(losses).size).toBe(losses.length);
      await daemon.waitFor('store.returned');
      expect(daemon.logged('store.returned')).toHaveLength(1);
      // Also what was kept of batches whose outcome was unknown: each once.
      const [row] = await server.sql('SELECT count(*)::int AS n FROM majordomo.request', database);
      const served = serve(daemon, 'kept', () => 'done', { concurrency: 16 });
      await until(async () => {
        const [left] = await server.sql(
          'SELECT count(*)::int AS n FROM majordomo.request WHERE state = 1',
          database,
        );
        return left?.['n'] === 0;
      }, 'all are served');
      expect(served).toHaveLength(Number(row?.['n']));
    },
  );

  it('during the start: exit 69 when the time of an operation is over', async () => {
    const server = await Cluster.make();
    atEnd(() => server.remove());
    const database = await server.database();
    const sets = [`titanic.store=${server.url(database)}`];
    await (await startDaemon({ sets })).stop();
    // The start waits for this lock.
    const other = await server.session(database);
    await other.query('BEGIN');
    await other.query('SELECT format FROM majordomo.meta FOR UPDATE');
    const starting = new Daemon({ sets });
    await until(async () => {
      const waiting = await server.sql(
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
      );
      return waiting.length > 0;
    }, 'the start waits');
    await server.stop('immediate');
    const { status, stderr } = await starting.finished();
    expect([status, stderr]).toEqual([69, expect.stringContaining('connection refused')]);
  });
});
