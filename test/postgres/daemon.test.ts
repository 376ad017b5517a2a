import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { run } from '../support/child.js';
import { ask, atEnd, clientOf, endAll, serve, upper } from '../support/daemon-users.js';
import {
  type Daemon,
  type DaemonOptions,
  startDaemon,
  temporaryDirectory,
  unstarted,
} from '../support/daemon.js';
import { Cluster } from '../support/postgres-cluster.js';
import { opens } from '../support/postgres-place.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { until } from '../support/until.js';
import { PATIENCE_MS } from '../support/patience.js';

const cluster = sharedCluster();

afterEach(endAll);

async function broker(url: string, { sets = [], ...more }: DaemonOptions = {}): Promise<Daemon> {
  return await startDaemon({ ...more, sets: [`titanic.store=${url}`, ...sets] });
}

async function failsWith(url: string, dataDir = temporaryDirectory()): Promise<[unknown, string]> {
  const { status, stderr } = await unstarted({ dataDir, sets: [`titanic.store=${url}`] });
  return [status, stderr];
}

describeWithPostgres('a broker with its store in PostgreSQL', () => {
  it('keeps receipts over kill -9 and a start of the same node, at once', async () => {
    const server = await cluster();
    const url = server.url(await server.database());
    const first = await broker(url);
    const job = await clientOf(first).submit('upper', 'hello');
    await first.kill();
    const again = await broker(url, { dataDir: first.dataDir, endpoint: first.endpoint });
    expect((await again.waitFor('titanic.recovered'))['pending']).toBe(1);
    serve(again, 'upper', upper);
    const client = clientOf(again);
    const result = await client.job(job.uuid).result({ timeoutMs: PATIENCE_MS });
    expect(result.text()).toBe('HELLO');
    expect(await ask(client, 'titanic.close', job.uuid)).toEqual(['200']);
    expect(await ask(client, 'titanic.reply', job.uuid)).toEqual(['400 unknown']);
    expect((await again.stop()).status).toBe(0);
    const [left] = await server.sql(
      'SELECT count(*)::int FROM majordomo.body',
      url.split('/').at(-1),
    );
    expect(left).toEqual({ count: 0 });
  });

  it('stores, runs and closes a request in one exchange, also at another broker of the database', async () => {
    const server = await cluster();
    const url = server.url(await server.database());
    const first = await broker(url);
    const second = await broker(url);
    const client = clientOf(first);
    const early = client.callDurable('upper', 'early', { idempotencyKey: 'early' });
    // Its worker is at the other one.
    serve(second, 'upper', upper);
    expect((await early).text()).toBe('EARLY');
    expect((await clientOf(second).callDurable('upper', 'late')).text()).toBe('LATE');
    await until(async () => {
      const job = await client.enqueue('upper', 'early', { idempotencyKey: 'early' });
      return job.found === 'closed';
    }, 'it is closed');
  });

  it('a restart of the database (fast, then immediate) loses no receipt, and every one that was acknowledged is there', async () => {
    const server = await Cluster.make();
    atEnd(() => server.remove());
    const url = server.url(await server.database());
    const daemon = await broker(url, { sets: ['titanic.storeTimeoutMs=20000'] });
    const client = clientOf(daemon);
    const answers: string[][] = [];
    let isOver = false;
    const writers = Array.from({ length: 8 }, async () => {
      while (!isOver) answers.push(await ask(client, 'titanic.request', 'upper', 'x'));
    });
    await until(() => answers.length > 200, 'receipts');
    for (const how of ['fast', 'immediate'] as const) {
      await server.restart(how);
      const before = answers.length;
      await until(() => answers.length > before + 200, `receipts after the restart (${how})`);
    }
    isOver = true;
    await Promise.all(writers);
    expect(answers.filter(([status]) => status !== '200')).toEqual([]);
    const uuids = new Set(answers.map(([, uuid]) => uuid));
    expect(uuids.size).toBe(answers.length);
    const rows = await server.sql(
      'SELECT upper(replace(id::text, $$-$$, $$$$)) AS id FROM majordomo.request',
      url.split('/').at(-1),
    );
    const kept = new Set(rows.map(({ id }) => id));
    expect([...uuids].filter((uuid) => !kept.has(uuid))).toEqual([]);
    // The counts are those of the store.
    expect(rows).toHaveLength(answers.length);
    expect(daemon.logged('broker.ready')).toHaveLength(1);
  });

  it('while the database is away: 500, plain requests go on, replies wait and are stored afterwards', async () => {
    const server = await Cluster.make();
    atEnd(() => server.remove());
    const url = server.url(await server.database());
    const daemon = await broker(url, {
      sets: ['titanic.storeTimeoutMs=3000', 'fleet.leaseMs=60000', 'http.listen=127.0.0.1:0'],
    });
    const client = clientOf(daemon);
    const kept = await ask(client, 'titanic.request', 'slow', 'x');
    let finish: () => void = () => undefined;
    const taken = new Promise<void>((resolve) => {
      serve(daemon, 'slow', async () => {
        resolve();
        await new Promise<void>((done) => {
          finish = done;
        });
        return 'finished';
      });
    });
    await taken;
    await server.stop();
    await daemon.waitFor('store.lost');
    finish();
    const [refused] = await ask(client, 'titanic.request', 'upper', 'x');
    expect(refused).toContain('500 ');
    expect((await ask(client, 'titanic.reply', kept[1] ?? ''))[0]).toContain('500 ');
    expect((await ask(client, 'titanic.reply', 'F'.repeat(32)))[0]).toContain('500 ');
    serve(daemon, 'upper', upper);
    expect((await client.request('upper', 'plain')).text()).toBe('PLAIN');
    const { http } = await daemon.waitFor('broker.ready');
    const ready = await fetch(`${String(http)}/readyz`);
    expect([ready.status, await ready.text()]).toEqual([
      200,
      expect.stringContaining('store_lost'),
    ]);
    await server.start();
    await daemon.waitFor('store.returned');
    await until(async () => {
      const [status, reply] = await ask(client, 'titanic.reply', kept[1] ?? '');
      return status === '200' && reply === 'finished';
    }, 'the reply is stored');
    expect(daemon.logged('store.lost')).toHaveLength(1);
  });

  it('an operator lists, shows and cancels, as with a file', async () => {
    const server = await cluster();
    const url = server.url(await server.database());
    const daemon = await broker(url, { sets: ['http.listen=127.0.0.1:0'] });
    const job = await clientOf(daemon).submit('upper', 'hello', { idempotencyKey: 'k' });
    const { http } = await daemon.waitFor('broker.ready');
    const admin = ['--admin', String(http), '--token-file', `${daemon.dataDir}/http.token`];
    const listed = await run(['durable', 'ls', '-o', 'json', ...admin]);
    expect([listed.status, listed.stdout, listed.stderr]).toEqual([
      0,
      expect.stringContaining(job.uuid),
      '',
    ]);
    const shown = await run(['durable', 'show', job.uuid, '-o', 'json', ...admin]);
    expect(JSON.parse(shown.stdout)).toMatchObject({
      uuid: job.uuid,
      service: 'upper',
      state: 'pending',
    });
    const cancelled = await run(['durable', 'cancel', job.uuid, ...admin]);
    expect(cancelled.stderr).toBe('');
    expect((await ask(clientOf(daemon), 'titanic.reply', job.uuid))[0]).toBe('400 unknown');
  });
});

describeWithPostgres('commands on a store in a database', () => {
  it('verify counts and finds what is wrong; backup writes a store file that a broker serves', async () => {
    const server = await cluster();
    const url = server.url(await server.database());
    const daemon = await broker(url);
    const client = clientOf(daemon);
    const one = await client.submit('other', 'waits', { idempotencyKey: 'k' });
    const two = await client.submit('upper', 'hello');
    serve(daemon, 'upper', upper);
    expect((await two.result({ timeoutMs: PATIENCE_MS })).text()).toBe('HELLO');
    const config = ['--set', `titanic.store=${url}`, '--set', `node.dataDir=${daemon.dataDir}`];
    const verified = await run(['verify', '-o', 'json', ...config]);
    expect(JSON.parse(verified.stdout)).toMatchObject({ pending: 1, replied: 1, problems: [] });
    const copy = temporaryDirectory();
    const backup = await run(['backup', `${copy}/titanic.db`, ...config]);
    expect([backup.status, backup.stderr]).toEqual([0, '']);
    const twice = await run(['backup', `${copy}/titanic.db`, ...config]);
    expect(twice.status).toBe(64);
    const file = await startDaemon({ dataDir: copy });
    const there = clientOf(file);
    expect((await there.job(two.uuid).result({ timeoutMs: PATIENCE_MS })).text()).toBe('HELLO');
    const again = await there.submit('other', 'waits', { idempotencyKey: 'k' });
    expect(again.uuid).toBe(one.uuid);
    await daemon.stop();
    await server.sql('DELETE FROM majordomo.body WHERE kind = 1', url.split('/').at(-1));
    const damaged = await run(['verify', ...config]);
    expect([damaged.status, damaged.stderr]).toEqual([
      74,
      expect.stringContaining('requests without a body, or with one of another size: 2'),
    ]);
    expect(damaged.stdout).toContain(': 1 problem\n');
  });

  it('doctor says that receipts live on one machine, and shows the oldest transaction', async () => {
    const server = await cluster();
    const url = server.url(await server.database());
    const config = [
      '--set',
      `titanic.store=${url}`,
      '--set',
      `node.dataDir=${temporaryDirectory()}`,
    ];
    const { stdout } = await run(['doctor', '-o', 'json', ...config]);
    const { checks } = JSON.parse(stdout) as {
      checks: { name: string; state: string; text: string }[];
    };
    expect(checks.find(({ name }) => name === 'database')).toMatchObject({
      state: 'warning',
      text: expect.stringContaining('receipts live on one machine'),
    });
    expect(checks.find(({ name }) => name === 'oldest snapshot')?.state).toBe('ok');
  });
});

describeWithPostgres('a database with another store than the data directory remembers', () => {
  it('serve, verify, backup: 74, doctor: a problem, with the same words; --new-store uses it', async () => {
    const server = await cluster();
    const url = server.url(await server.database());
    const first = await broker(url);
    expect(await first.waitFor('store.known')).toMatchObject({ how: 'made' });
    await first.stop();
    const found = await broker(url);
    expect(await found.waitFor('store.known')).toMatchObject({ how: 'found' });
    await found.stop();
    const other = server.url(await server.database());
    await opens(other);
    const words = expect.stringMatching(
      /is another store, with the id [0-9a-f]{32}: the data directory remembers [0-9a-f]{32}\. Probably titanic\.store names the wrong database: correct it\. If this one is to be used from now on, start once with --new-store: receipts of the other are then unknown\.\n?$/,
    );
    const { dataDir } = first;
    expect(await failsWith(other, dataDir)).toEqual([74, words]);
    const config = ['--set', `titanic.store=${other}`, '--set', `node.dataDir=${dataDir}`];
    const verified = await run(['verify', ...config]);
    expect([verified.status, verified.stdout, verified.stderr]).toEqual([74, '', words]);
    const copy = join(temporaryDirectory(), 'copy.db');
    const copied = await run(['backup', copy, ...config]);
    expect([copied.status, copied.stderr, existsSync(copy)]).toEqual([74, words, false]);
    const doctor = await run(['doctor', '-o', 'json', ...config]);
    const { checks } = JSON.parse(doctor.stdout) as { checks: { state: string; text: string }[] };
    const texts = checks.filter(({ state }) => state === 'problem').map(({ text }) => text);
    expect([doctor.status, texts]).toEqual([1, [words]]);
    expect((await run(['verify', '--set', `titanic.store=${other}`])).status).toBe(0);
    const empty = await server.database();
    expect(await failsWith(server.url(empty), dataDir)).toEqual([
      74,
      expect.stringContaining('is empty: the data directory'),
    ]);
    const made = `SELECT to_regnamespace('majordomo') IS NOT NULL AS is_made`;
    expect(await server.sql(made, empty)).toEqual([{ is_made: false }]);
    const again = await broker(other, { dataDir, newStore: true });
    expect(again.logged('store.renewed')).toHaveLength(1);
  });

  it('verify of a database without a store: 78, without words of SQL; that is away: 69', async () => {
    const server = await cluster();
    const url = server.url(await server.database());
    const empty = await run(['verify', '--set', `titanic.store=${url}`]);
    expect([empty.status, empty.stderr]).toEqual([
      78,
      expect.stringMatching(/has no store: a broker makes it when it starts\n$/),
    ]);
    const away = await run(['verify', '--set', 'titanic.store=postgresql://u@127.0.0.1:1/x']);
    expect([away.status, away.stderr]).toEqual([69, expect.stringContaining('connection refused')]);
  });
});

describeWithPostgres('the session of a broker that somebody has deleted', () => {
  it('is over: what it had claimed is run by others', async () => {
    const server = await cluster();
    const database = await server.database();
    const daemon = await broker(server.url(database), { sets: ['fleet.leaseMs=1000'] });
    const client = clientOf(daemon);
    const [status, uuid = ''] = await ask(client, 'titanic.request', 'upper', 'hello');
    expect(status).toBe('200');
    await server.sql('UPDATE majordomo.request SET session = 1000000, claim = 2', database);
    serve(daemon, 'upper', upper);
    await until(async () => (await ask(client, 'titanic.reply', uuid))[1] === 'HELLO', 'its reply');
  });
});

describeWithPostgres('a database that does not fit', () => {
  const cases: readonly [string, number, string, (server: Cluster) => Promise<string>][] = [
    [
      'nobody listens',
      69,
      'does not answer: connection refused; start PostgreSQL at 127.0.0.1:1',
      async () => 'postgresql://u@127.0.0.1:1/x',
    ],
    ['no such database', 78, 'create the database', async (server) => server.url('absent')],
    [
      "another program's schema",
      78,
      'use another database',
      async (server) => {
        const name = await server.database();
        await server.sql('CREATE SCHEMA majordomo; CREATE TABLE majordomo.meta (a text)', name);
        return server.url(name);
      },
    ],
    [
      'TLS is asked for, and the server has none',
      78,
      'sslmode',
      async (server) => `${server.url(await server.database())}?sslmode=require`,
    ],
  ];
  it.each(cases)('%s: exit %i, and says what to do', async (_title, wanted, text, urlOf) => {
    const [status, stderr] = await failsWith(await urlOf(await cluster()));
    expect([status, stderr]).toEqual([wanted, expect.stringContaining(text)]);
  });
});
