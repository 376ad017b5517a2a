import type { Service } from '../../../src/admin/api/node-answers.js';
import type { Page } from '../../../src/admin/api/words.js';
import { Client } from '../../../src/sdk/client.js';
import { writeMessage } from '../../../src/sdk/links.js';
import { ServiceError } from '../../../src/sdk/service-error.js';
import { Worker } from '../../../src/sdk/worker.js';
import type { Handler } from '../../../src/sdk/worker/handler.js';
import { clientRequest } from '../../../src/wire/client-side.js';
import { dialZmtp } from '../../../src/zmtp/link.js';
import { type Finished, run } from '../../support/child.js';
import { type Daemon, removeDaemons, startDaemon } from '../../support/daemon.js';
import { ask, httpOf, tokenOf } from '../../support/http.js';
import { until } from '../../support/until.js';

afterEach(removeDaemons);

/** A node with a service that fails always, one that answers, and a paused one. */
async function unlucky(work: (daemon: Daemon, at: readonly string[]) => Promise<void>) {
  const sets = ['http.listen=127.0.0.1:0', 'titanic.enabled=true', 'node.name=left'];
  const daemon = await startDaemon({ sets });
  const endpoints = [daemon.endpoint];
  const offer = (service: string, handler: Handler): Worker => {
    const worker = new Worker({ endpoints, service, name: `vm-${service}` }, handler);
    void worker.run();
    return worker;
  };
  await using _fails = offer('price', () => {
    throw new ServiceError('NO_RATE', 'no rate for CHF');
  });
  await using _answers = offer('answer', ({ frames }) => frames);
  await using _idle = offer('sleep', ({ frames }) => frames);
  const listed = async (): Promise<readonly Service[]> =>
    ((await ask(`${httpOf(daemon)}/api/v1/services`)).json as Page<Service>).items;
  await until(async () => (await listed()).length === 3, 'three workers');
  await using client = new Client({ endpoints });
  for (let each = 0; each < 5; each++) await client.request('answer', 'x');
  for (let each = 0; each < 3; each++) await client.request('price', 'x').catch(() => null);
  const admin = ['--admin', httpOf(daemon), '--token', tokenOf(daemon)];
  expect((await run(['services', 'pause', 'sleep', ...admin])).status).toBe(0);
  const waiting = client.request('sleep', 'x').catch(() => null);
  await until(async () => (await listed()).some(({ queued }) => queued === 1), 'a request waits');
  await work(daemon, admin);
  await client.close();
  await waiting;
}

/** A client with a session requests, and loses its connection. */
async function leaves(daemon: Daemon): Promise<void> {
  const link = dialZmtp({ limits: { messageBytesMax: 1e6, framesMax: 10, outputBytesMax: 1e6 } })(
    daemon.endpoint,
    {
      connected: () => {
        const session = Buffer.from('{"session":"a-session-of-96bit"}');
        writeMessage(link, clientRequest(2, null, Buffer.from('mmi.hello'), [session]));
        const body = [Buffer.from('x')];
        writeMessage(link, clientRequest(2, Buffer.from('1'), Buffer.from('sleep'), body));
      },
      disconnected: () => undefined,
      message: () => undefined,
    },
  );
  const sleep = async (): Promise<Service | undefined> =>
    ((await ask(`${httpOf(daemon)}/api/v1/services`)).json as Page<Service>).items.find(
      ({ service }) => service === 'sleep',
    );
  await until(async () => (await sleep())?.queued === 2, 'another request waits');
  await link.close(0);
  await until(async () => (await sleep())?.clientsAway === 1, 'its client is away');
}

const first = ({ stdout }: Finished): (string | undefined)[] =>
  stdout.split('\n').map((line) => line.split(/ {2,}/)[0]);

describe('why plain requests fail, from the command line', () => {
  it('services show has the failures by code with the last reason, the workers, and what waits', async () => {
    await unlucky(async (daemon, at) => {
      const { status, stdout, stderr } = await run(['services', 'show', 'price', ...at]);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toMatch(
        /^price: every request fails\nworkers {2}1 idle, 0 busy; 1 place free\nwaiting {2}0 queued, 0 at workers\n/,
      );
      expect(stdout).toMatch(/^plain {4}.* replies\/s, .* failed\/s; p50 .*, p99 -, longest /m);
      expect(stdout).toMatch(/^3 failures since the node started\n/m);
      expect(stdout).toMatch(/^ +3 +NO_RATE +\S+Z +no rate for CHF$/m);
      expect(stdout).toMatch(/^vm-price +waiting .* 127\.0\.0\.1$/m);
      const { stdout: told } = await run(['services', 'show', 'price', '--json', ...at]);
      expect(JSON.parse(told)).toMatchObject({
        service: { service: 'price', oldestQueuedMs: null },
        failures: [{ event: 'request.failed', code: 'NO_RATE', count: 3 }],
        workers: [{ name: 'vm-price' }],
      });
      const paused = await run(['services', 'show', 'sleep', ...at]);
      expect(paused.stdout).toMatch(/^sleep: paused\n.*\nwaiting {2}1 queued, .* has waited for /);
      expect(paused.stdout).toContain('\nno failures since the node started\n');
      await leaves(daemon);
      const away = await run(['services', 'show', 'sleep', ...at]);
      expect(away.stdout).toMatch(
        /^waiting {2}2 queued, 0 at workers; 1 of them for clients that may come back; the oldest/m,
      );
      await using client = new Client({ endpoints: [daemon.endpoint] });
      await client.enqueue('later', 'x');
      const stored = await run(['services', 'show', 'later', ...at]);
      expect(stored.stdout).toMatch(/^waiting {2}0 queued, 0 at workers$/m);
      expect(stored.stdout).toMatch(
        /^durable {2}1 pending, .* 0 dead; the oldest has waited for /m,
      );
      const open = await run(['services', 'show', 'price', '--admin', httpOf(daemon)]);
      expect(open.stdout).toMatch(/^ +3 +failed +\S+Z +needs a token$/m);
      expect(open.stderr).toMatch(/codes and reasons of workers need a token \(.*\/http\.token/);
      expect(await run(['services', 'show', 'nobody', ...at])).toMatchObject({
        status: 1,
        stderr: 'majordomo: the node knows no service nobody: it has no worker, and no request\n',
      });
    });
  });

  it('services and top list the failing ones first, mark paused ones, and filter by name', async () => {
    await unlucky(async (daemon, at) => {
      const [head, ...rows] = first(await run(['services', ...at]));
      expect([head, rows[0]]).toEqual(['SERVICE', 'price']);
      expect(rows).toContain('sleep (paused)');
      const overMmi = await run(['services', '--name', 'E', '--endpoint', daemon.endpoint]);
      expect(first(overMmi).slice(0, 2)).toEqual(['SERVICE', 'price']);
      expect(first(await run(['services', '--name', 'SLE', ...at])).slice(1)).toEqual([
        'sleep (paused)',
        '',
      ]);
      const [, , , heads, top, ...others] = first(await run(['top', ...at]));
      expect([heads, top]).toEqual(['SERVICE', 'price']);
      expect(others).toContain('sleep (paused)');
      expect((await run(['top', '--name', 'ans', '-o', 'name', ...at])).stdout).toBe('answer\n');
      const json = JSON.parse((await run(['services', '-o', 'json', ...at])).stdout) as object[];
      expect(Object.keys(json[0] ?? {})).not.toContain('failedMsAgo');
    });
  });
});
