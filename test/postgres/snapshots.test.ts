/** What keeps dead rows: the metric of a running broker, and doctor. */
import { run } from '../support/child.js';
import { type Daemon, removeDaemons, startDaemon, temporaryDirectory } from '../support/daemon.js';
import { Cluster } from '../support/postgres-cluster.js';
import { describeWithPostgres } from '../support/postgres.js';
import { until } from '../support/until.js';

describeWithPostgres('old snapshots', () => {
  let server: Cluster;

  beforeAll(async () => {
    server = await Cluster.make(['max_prepared_transactions = 5']);
    await server.sql('CREATE ROLE poor LOGIN');
  });

  afterEach(removeDaemons);

  afterAll(async () => {
    await server.remove();
  });

  async function oldest(daemon: Daemon): Promise<number | null> {
    const { http } = await daemon.waitFor('broker.ready');
    const text = await (await fetch(`${String(http)}/metrics`)).text();
    const line = /^majordomo_titanic_store_oldest_snapshot_seconds (.*)$/m.exec(text);
    return line === null ? null : Number(line[1]);
  }

  async function doctor(url: string): Promise<{ state: string; text: string; remedy?: string }[]> {
    const sets = [`titanic.store=${url}`, `node.dataDir=${temporaryDirectory()}`];
    const { stdout } = await run([
      'doctor',
      '-o',
      'json',
      ...sets.flatMap((set) => ['--set', set]),
    ]);
    const { checks } = JSON.parse(stdout) as {
      checks: { name: string; state: string; text: string; remedy?: string }[];
    };
    return ['database', 'oldest snapshot'].flatMap((wanted) =>
      checks.filter(({ name }) => name === wanted),
    );
  }

  async function serving(url: string): Promise<Daemon> {
    return await startDaemon({ sets: [`titanic.store=${url}`, 'http.listen=127.0.0.1:0'] });
  }

  it('an idle session in a transaction is the oldest, until it ends', async () => {
    const name = await server.database();
    const daemon = await serving(server.url(name));
    await until(async () => (await oldest(daemon)) === 0, 'there is none');
    for (const begin of [
      'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM majordomo.meta',
      // Without a snapshot, but with a transaction that all snapshots remember as running.
      'BEGIN; CREATE TABLE x ()',
    ]) {
      const idle = await server.session(name);
      await idle.query(begin);
      await until(async () => ((await oldest(daemon)) ?? 0) > 0, begin);
      const pid = (await idle.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]
        ?.pid;
      expect((await doctor(server.url(name)))[1]).toMatchObject({
        text: expect.stringContaining(`the process "${String(pid)}" has been open for`),
      });
      await idle.query('ROLLBACK');
      await idle.end();
      await until(async () => (await oldest(daemon)) === 0, 'it has ended');
    }
  });

  it('prepared transactions, and the slot of a standby that is away', async () => {
    const name = await server.database();
    await server.sql("BEGIN; CREATE TABLE y (); PREPARE TRANSACTION 'forgotten'", name);
    expect((await doctor(server.url(name)))[1]?.text).toContain(
      'the prepared transaction "forgotten"',
    );
    await server.sql("ROLLBACK PREPARED 'forgotten'", name);
    const standby = await server.standby('second', 'of_second');
    try {
      await standby.configure({ hot_standby_feedback: 'on' });
      await until(async () => {
        const [slot] = await server.sql('SELECT xmin::text FROM pg_replication_slots');
        return slot?.['xmin'] !== null;
      }, 'feedback');
      expect((await doctor(server.url(name)))[1]?.state).toBe('ok');
      await standby.stop();
      await until(async () => {
        const [slot] = await server.sql('SELECT active FROM pg_replication_slots');
        return slot?.['active'] === false;
      }, 'nobody reads it');
      expect((await doctor(server.url(name)))[1]).toMatchObject({
        state: 'warning',
        text: expect.stringContaining('the replication slot "of_second"'),
        remedy: expect.stringContaining('pg_drop_replication_slot'),
      });
      await server.sql("SELECT pg_drop_replication_slot('of_second')");
    } finally {
      await standby.remove();
    }
  });

  it('a role that may not see them: no metric, and doctor says what to grant', async () => {
    const name = await server.database();
    await server.sql(`GRANT CREATE ON DATABASE ${name} TO poor`);
    const url = server.url(name, 'poor');
    const daemon = await serving(url);
    const [safety, snapshot] = await doctor(url);
    expect(safety?.text).toContain('receipts live on one machine');
    expect(snapshot).toMatchObject({
      state: 'warning',
      remedy: 'GRANT pg_read_all_stats TO "poor"',
    });
    expect(await oldest(daemon)).toBeNull();
    await server.sql(String(snapshot?.remedy));
    await until(async () => (await oldest(daemon)) === 0, 'it sees them');
    expect((await doctor(url))[1]?.state).toBe('ok');
  });
});
