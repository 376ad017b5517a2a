/** A database with a synchronous standby: the failover, and commits that wait for the standby. */
import { ask, atEnd, clientOf, endAll, serve } from '../support/daemon-users.js';
import { type Daemon, startDaemon } from '../support/daemon.js';
import { type Cluster, clusterWithStandby } from '../support/postgres-cluster.js';
import { describeWithPostgres } from '../support/postgres.js';
import { Receipts } from '../support/receipts.js';
import { until } from '../support/until.js';

describeWithPostgres('a database with a synchronous standby', () => {
  let primary: Cluster;
  let standby: Cluster;
  let database: string;

  beforeEach(async () => {
    ({ primary, standby, database } = await clusterWithStandby());
    atEnd(async () => {
      await Promise.all([primary.remove(), standby.remove()]);
    });
  });

  afterEach(endAll);

  async function begin(timeoutMs: number, more: readonly string[] = []): Promise<Daemon> {
    const hosts = `127.0.0.1:${primary.port},127.0.0.1:${standby.port}`;
    return await startDaemon({
      sets: [
        ...[`titanic.store=postgresql://postgres@${hosts}/${database}`],
        ...[`titanic.storeTimeoutMs=${timeoutMs}`, 'fleet.leaseMs=60000', ...more],
      ],
    });
  }

  async function backends(): Promise<number> {
    const [row] = await primary.sql(
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = '${database}'`,
    );
    return Number(row?.['n']);
  }

  /** Of the store's database at the former primary, all in all. */
  async function sessions(): Promise<number> {
    const [row] = await primary.sql(
      `SELECT sessions::int AS n FROM pg_stat_database WHERE datname = '${database}'`,
    );
    return Number(row?.['n']);
  }

  it('promoted while the primary is killed: no receipt is missing, and the switch is logged once', async () => {
    const daemon = await begin(60_000);
    const receipts = new Receipts(daemon.endpoint, 3);
    await until(() => receipts.given.length > 100, 'receipts');
    await primary.stop('immediate');
    const before = receipts.given.length;
    await standby.sql('SELECT pg_promote()');
    await until(() => receipts.given.length > before + 100, 'receipts of the other server');
    await receipts.stop();
    expect(receipts.refused).toEqual([]);
    expect(await receipts.missing(standby, database)).toEqual([]);
    const { text } = await daemon.waitFor('store.switched');
    expect(text).toMatch(/timeline 00000001 before, .*timeline 00000002 now/);
    expect(daemon.logged('store.switched')).toHaveLength(1);
    // The former primary is back, and takes writes: the broker looks at it, finds it older, and does not use it.
    await standby.stop();
    await primary.start();
    await primary.sql("ALTER SYSTEM SET synchronous_standby_names = ''");
    await primary.sql('SELECT pg_reload_conf()');
    const client = clientOf(daemon);
    const pending = ask(client, 'titanic.request', 'kept', 'x');
    const already = await sessions();
    await until(async () => (await sessions()) > already + 2, 'the broker looked at it and left');
    await standby.start();
    const [status, uuid = ''] = await pending;
    expect(status).toBe('200');
    expect(daemon.logged('store.switched')).toHaveLength(1);
    const [row] = await standby.sql(
      `SELECT count(*)::int AS n FROM majordomo.request WHERE id = '${uuid}'`,
      database,
    );
    expect(row).toEqual({ n: 1 });
    await daemon.stop();
    // Neither by a broker that starts.
    const again = await startAgain(daemon);
    expect((await ask(clientOf(again), 'titanic.reply', uuid))[0]).toBe('300');
  });

  it('promoted while the primary is stopped: what goes on is not asked, also over a connection that was not used meanwhile', async () => {
    const daemon = await begin(3000);
    const client = clientOf(daemon);
    // Every connection has been used.
    const [, before = ''] = await ask(client, 'titanic.request', 'kept', 'x');
    expect(await ask(client, 'titanic.reply', before)).toEqual(['300']);
    primary.signal('SIGSTOP');
    await standby.sql('SELECT pg_promote()');
    let uuid = '';
    await until(async () => {
      const [status, given = ''] = await ask(client, 'titanic.request', 'kept', 'x');
      uuid = given;
      return status === '200';
    }, 'a receipt of the other server');
    primary.signal('SIGCONT');
    // Without an answer in time it is 500; never that it is unknown.
    let told = await ask(client, 'titanic.reply', uuid);
    while (told[0]?.startsWith('500 ')) told = await ask(client, 'titanic.reply', uuid);
    expect(told).toEqual(['300']);
    await daemon.waitFor('store.switched');
    expect(daemon.logged('store.switched')).toHaveLength(1);
  });

  async function startAgain(daemon: Daemon): Promise<Daemon> {
    const hosts = `127.0.0.1:${primary.port},127.0.0.1:${standby.port}`;
    return await startDaemon({
      dataDir: daemon.dataDir,
      sets: [`titanic.store=postgresql://postgres@${hosts}/${database}`],
    });
  }

  it('a server with another store in the place of the lost one: refused, 500, and not written to', async () => {
    const daemon = await begin(3000);
    const client = clientOf(daemon);
    expect((await ask(client, 'titanic.request', 'kept', 'x'))[0]).toBe('200');
    await standby.sql('SELECT pg_promote()');
    await until(async () => {
      const [row] = await standby.sql('SELECT pg_is_in_recovery() AS is');
      return row?.['is'] === false;
    }, 'promoted');
    await standby.sql("UPDATE majordomo.meta SET store_id = 'another'", database);
    await primary.stop('immediate');
    await daemon.waitFor('store.lost');
    // One connection was found broken. Another may look open for a moment, and a batch is sent over it.
    const answers: string[] = [];
    await until(async () => {
      answers.push((await ask(client, 'titanic.request', 'kept', 'x'))[0] ?? '');
      return answers.at(-1) === '500 the store cannot be reached';
    }, 'refused');
    for (const answer of answers) {
      expect(answer).toMatch(/^500 (outcome unknown: )?the store cannot be reached$/);
    }
    expect(daemon.logged('store.lost')[0]).toMatchObject({
      text: expect.stringContaining('is another store'),
    });
    expect(daemon.logged('store.switched')).toEqual([]);
    const [row] = await standby.sql('SELECT count(*)::int AS n FROM majordomo.request', database);
    expect(row).toEqual({ n: 1 });
  });

  it('no standby: outcome unknown, a bounded number of waiting connections, and all is served once it is back', async () => {
    const daemon = await begin(3000);
    const client = clientOf(daemon);
    expect((await ask(client, 'titanic.request', 'kept', '0'))[0]).toBe('200');
    const atFirst = await backends();
    await standby.stop();
    const answers: string[] = [];
    for (let n = 1; n <= 6; n++) {
      const options = JSON.stringify({ key: `k${n}` });
      answers.push((await ask(client, 'titanic.submit', options, 'kept', String(n)))[0] ?? '');
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    expect(answers.filter((each) => !each.startsWith('500 '))).toEqual([]);
    expect(answers[0]).toMatch(/^500 outcome unknown/);
    // What was given up leaves the server, but for the commit that waits.
    await until(async () => (await backends()) <= atFirst + 2, 'few connections are left');
    await standby.start();
    const seen = serve(daemon, 'kept');
    await until(() => seen.includes('1'), 'the request whose outcome was unknown');
    const [row] = await primary.sql('SELECT count(*)::int AS n FROM majordomo.request', database);
    await until(() => seen.length === Number(row?.['n']), 'all that is stored is served');
    expect(new Set(seen).size).toBe(seen.length);
    expect((await ask(client, 'titanic.request', 'kept', 'last'))[0]).toBe('200');
  });

  it('the wait for the standby is cancelled: the outcome is unknown, in any language', async () => {
    const daemon = await begin(3000);
    const client = clientOf(daemon);
    expect((await ask(client, 'titanic.request', 'kept', '0'))[0]).toBe('200');
    await standby.stop();
    const answer = ask(client, 'titanic.request', 'kept', '1');
    await until(async () => {
      const rows = await primary.sql(
        `SELECT pg_cancel_backend(pid) FROM pg_stat_activity
          WHERE wait_event = 'SyncRep' AND datname = '${database}'`,
      );
      return rows.length > 0;
    }, 'a commit waits');
    const [status] = await answer;
    expect(status).toMatch(/^500 outcome unknown/);
    // It is on the primary alone: a client that asks again waits for the standby, too.
    await standby.start();
    await until(
      async () => (await ask(client, 'titanic.request', 'kept', '2'))[0] === '200',
      'receipts again',
    );
    const seen = serve(daemon, 'kept');
    await until(() => seen.length >= 3, 'all are served');
    expect([...seen].sort()).toEqual(expect.arrayContaining(['0', '1', '2']));
  });
});
