/** What operators are told about the database of a node. */
import { run } from '../support/child.js';
import { ask, clientOf, endAll } from '../support/daemon-users.js';
import { startDaemon } from '../support/daemon.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { TcpRelay } from '../support/tcp-relay.js';
import { until } from '../support/until.js';

const cluster = sharedCluster();

afterEach(endAll);

describeWithPostgres('majordomo status, with a database', () => {
  it('shows by HTTP which one it is, and since when it is reached or lost; by MMI nothing of it', async () => {
    const server = await cluster();
    const relay = await new TcpRelay(server.port).listen();
    const place = `127.0.0.1:${relay.port}`;
    const name = `${place}/${await server.database()}`;
    const daemon = await startDaemon({
      sets: [
        `titanic.store=postgresql://postgres@${name}`,
        ...['titanic.storeTimeoutMs=5000', 'http.listen=127.0.0.1:0'],
      ],
    });
    const admin = ['--admin', String((await daemon.waitFor('broker.ready'))['http'])];
    const shown = async (): Promise<[string, unknown]> => {
      const { stdout } = await run(['status', ...admin]);
      const json = await run(['status', '-o', 'json', ...admin]);
      const line = stdout.split('\n').find((each) => each.startsWith('store '));
      return [line ?? '', (JSON.parse(json.stdout) as { store: unknown }).store];
    };
    const facts = { database: name, server: place, since: expect.any(String) as unknown };
    const [reached, up] = await shown();
    expect(reached).toMatch(/^store +127\.0\.0\.1:\d+\/\w+: reached since 20[\d-]+T[\d:.]+Z$/);
    expect(reached).toContain(name);
    expect(up).toEqual({ ...facts, up: true });
    relay.set('reset');
    await daemon.waitFor('store.lost');
    const [lost, down] = await shown();
    expect(lost).toMatch(/: LOST since 20[\d-]+T[\d:.]+Z$/);
    expect(down).toEqual({ ...facts, up: false });
    relay.set('open');
    await daemon.waitFor('store.returned');
    const [, again] = await shown();
    expect(again).toEqual({ ...facts, up: true });
    const times = [up, down, again].map((each) => (each as { since: string }).since);
    expect(times).toEqual([...new Set(times)].sort());
    const mmi = ['status', '--endpoint', daemon.endpoint];
    expect((await run(mmi)).stdout).not.toContain('store ');
    expect(JSON.parse((await run([...mmi, '-o', 'json'])).stdout)).toMatchObject({ store: null });
  });
});

describeWithPostgres('an outage of the database that outlasts the lease', () => {
  it('has one name in /readyz, and one line in the log for its begin and its end', async () => {
    const server = await cluster();
    const relay = await new TcpRelay(server.port).listen();
    const daemon = await startDaemon({
      sets: [
        `titanic.store=postgresql://postgres@127.0.0.1:${relay.port}/${await server.database()}`,
        ...['titanic.storeTimeoutMs=2000', 'fleet.leaseMs=6000', 'http.listen=127.0.0.1:0'],
      ],
    });
    const { http } = await daemon.waitFor('broker.ready');
    const codes = async (): Promise<string[]> => {
      const answer = await fetch(`${String(http)}/readyz`);
      const { degraded } = (await answer.json()) as { degraded: { code: string }[] };
      return degraded.map(({ code }) => code);
    };
    const client = clientOf(daemon);
    const submit = (): Promise<string[]> => ask(client, 'titanic.request', 'upper', 'x');
    expect((await submit())[0]).toBe('200');
    relay.set('reset');
    // The first is refused because the store is away, a later one because the lease is over, too.
    expect((await submit())[0]).toContain('500 ');
    await until(async () => (await submit())[0]?.includes('session') === true, 'no session');
    expect(await codes()).toEqual(['store_lost']);
    relay.set('open');
    await until(async () => (await submit())[0] === '200', 'the store is back');
    await until(async () => (await codes()).length === 0, 'nothing is wrong any more');
    await daemon.waitFor('store.returned');
    const count = (event: string): number => daemon.logged(event).length;
    const events = ['store.lost', 'store.returned', 'store.failed', 'store.healed'];
    expect(events.map(count)).toEqual([1, 1, 0, 0]);
    // A session that begins later than the database returns is told of then.
    await daemon.until(
      () => count('store.session_taken') === count('store.session_lost'),
      'a session',
    );
    const returned = String(daemon.logged('store.returned')[0]?.['time']);
    for (const { time } of daemon.logged('store.session_lost')) {
      expect(String(time) >= returned).toBe(true);
    }
  });
});
