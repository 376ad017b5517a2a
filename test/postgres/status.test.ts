/** What operators are told about the database of a node. */
import { afterEach, expect, it } from '@jest/globals';

import { run } from '../support/child.js';
import { endAll } from '../support/daemon-users.js';
import { startDaemon } from '../support/daemon.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { TcpRelay } from '../support/tcp-relay.js';

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
        ...['titanic.storeTimeoutMs=1000', 'fleet.leaseMs=1500', 'http.listen=127.0.0.1:0'],
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
