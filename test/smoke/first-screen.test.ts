/** What the first screen of README.md promises, each seen once through the real program. */
import { statSync } from 'node:fs';

import { Client } from '../../src/sdk/client.js';
import { Child, MAIN, run } from '../support/child.js';
import { type Daemon, removeDaemons, startDaemon } from '../support/daemon.js';
import { ask, httpOf } from '../support/http.js';
import { removePairs, startPairOfDaemons } from '../support/pair-daemons.js';
import { PATIENCE_MS } from '../support/patience.js';

const clients: Client[] = [];
const HEARTBEATS = ['broker.heartbeatIntervalMs=200', 'http.listen=127.0.0.1:0'];
const UPPER = ['--', 'tr', 'a-z', 'A-Z'];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await removePairs();
  await removeDaemons();
});

function clientOf(...endpoints: readonly string[]): Client {
  const client = new Client({ endpoints: [...endpoints], timeoutMs: PATIENCE_MS });
  clients.push(client);
  return client;
}

/** `majordomo worker upper …`, registered. */
async function startWorker(daemon: Daemon, command: readonly string[] = UPPER): Promise<Child> {
  const before = daemon.logged('worker.registered').length;
  const worker = new Child(['worker', 'upper', '--endpoint', daemon.endpoint, ...command]);
  await daemon.waitFor('worker.registered', before + 1);
  return worker;
}

describe('the first screen of README.md', () => {
  it('names a program that may be executed after each build, not only when npx makes its link', () => {
    expect(statSync(MAIN).mode & 0o111).toBe(0o111);
  });

  it('turns any shell command into a service, and any shell into a client', async () => {
    const daemon = await startDaemon({ sets: HEARTBEATS });
    await startWorker(daemon);
    expect(await run(['request', 'upper', 'hello', '--endpoint', daemon.endpoint])).toMatchObject({
      status: 0,
      stdout: 'HELLO\n',
    });
    const { status, text } = await ask(`${httpOf(daemon)}/metrics`);
    expect(status).toBe(200);
    expect(text).toContain('majordomo_requests_replied_total{service="upper"} 1');
    expect((await ask(`${httpOf(daemon)}/`)).text).toContain('<title>');
    expect(await daemon.stop()).toMatchObject({ status: 0 });
  });

  it('gives the request of a killed worker to a second worker', async () => {
    const daemon = await startDaemon({ sets: HEARTBEATS });
    const slow = await startWorker(daemon, ['--', 'sleep', '60']);
    const answer = clientOf(daemon.endpoint).request('upper', 'hello');
    await daemon.waitFor('worker.registered');
    await slow.kill();
    await startWorker(daemon);
    expect((await answer).text()).toBe('HELLO');
  });

  it('lets workers and clients carry on after the broker was killed and restarted', async () => {
    const daemon = await startDaemon({ sets: HEARTBEATS });
    await startWorker(daemon);
    const client = clientOf(daemon.endpoint);
    expect((await client.request('upper', 'one')).text()).toBe('ONE');
    await daemon.kill();
    const { dataDir, endpoint } = daemon;
    const again = await startDaemon({ dataDir, endpoint, sets: HEARTBEATS });
    expect((await client.request('upper', 'two')).text()).toBe('TWO');
    await again.stop();
  });

  it('keeps a durable request and its reply when the broker is killed', async () => {
    const daemon = await startDaemon({ sets: HEARTBEATS });
    const job = await clientOf(daemon.endpoint).submit('upper', 'kept');
    await daemon.kill();
    const { dataDir, endpoint } = daemon;
    const again = await startDaemon({ dataDir, endpoint, sets: HEARTBEATS });
    await startWorker(again);
    expect((await job.result()).text()).toBe('KEPT');
    await again.stop();
  });

  it('runs a pair: the passive node takes over from a killed active node, with all receipts', async () => {
    const pair = await startPairOfDaemons({ heartbeatIntervalMs: 300 });
    const active = await pair.inSync();
    const client = clientOf(...pair.endpoints);
    const job = await client.submit('upper', 'kept');
    await pair.node(active).kill();
    const endpoints = pair.endpoints.flatMap((endpoint) => ['--endpoint', endpoint]);
    new Child(['worker', 'upper', ...endpoints, ...UPPER]);
    expect((await job.result()).text()).toBe('KEPT');
  });
});
