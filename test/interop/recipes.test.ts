/** The programs of docs/recipes, as they stand there, against a broker. */
import { createServer, type Server } from 'node:http';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { parse } from 'yaml';

import { blocksOf } from '../support/blocks.js';
import { freePorts, listening } from '../support/free-ports.js';
import { httpOf } from '../support/http.js';
import { itWithTool, PYTHON } from '../support/tools.js';
import { until } from '../support/until.js';
import {
  type Page,
  type PageProgram,
  removePages,
  run,
  startPage,
} from './support/page-programs.js';

/**
 * So that a service without workers is soon known as one; not so soon that a worker on a busy machine
 * is taken for lost.
 */
const QUICK = ['broker.heartbeatIntervalMs=1000', 'titanic.retryBaseMs=100'];
const UPPER = ['--', 'tr', 'a-z', 'A-Z'];
const TOKEN = 'a-token-of-the-shop';

const servers: Server[] = [];
let page: Page;

afterEach(async () => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
  await removePages();
});

/** Saves the programs of a recipe. @returns their paths by name */
function programsOf(recipe: string, language: string, change = (text: string) => text) {
  const blocks = blocksOf(`docs/recipes/${recipe}.md`, language);
  return new Map(blocks.map(({ name, text }) => [name, page.saved(name, change(text))]));
}

/** Starts a Node program, and waits until `count` workers have registered. */
async function startWorker(
  path: string | undefined,
  count: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<PageProgram> {
  const program = page.start(process.execPath, [path ?? ''], environment);
  await page.daemon.waitFor('worker.registered', count);
  return program;
}

describe('http-front.md', () => {
  let base = '';

  async function startFront(): Promise<void> {
    page = await startPage(QUICK);
    const [port = 0] = await freePorts(1);
    base = `http://127.0.0.1:${port}`;
    const front = readFileSync('examples/http-front.ts', 'utf8').replace('8080', String(port));
    page.start(process.execPath, [page.saved('http-front.ts', front)]);
    while (!(await fetch(base).then(Boolean, () => false))) await new Promise(setImmediate);
  }

  async function post(path: string, body: string, headers: Record<string, string> = {}) {
    return await fetch(`${base}${path}`, { method: 'POST', body, headers });
  }

  it('answers with replies, and with a status for each error', async () => {
    await startFront();
    page.majordomo('worker', 'upper', ...UPPER);
    await page.daemon.waitFor('worker.registered');
    const reply = await post('/upper', 'hello');
    expect([reply.status, await reply.text()]).toEqual([200, 'HELLO']);
    expect((await post('/titanic.request', 'x')).status).toBe(404);
    expect((await fetch(`${base}/upper`)).status).toBe(404);
    expect((await post('/upper', 'x'.repeat(2_000_000))).status).toBe(413);
    const without = await post('/render', 'x');
    expect([without.status, without.headers.get('retry-after')]).toEqual([503, '1']);
    page.majordomo('worker', 'render', '--', 'false');
    await page.daemon.waitFor('worker.registered', 2);
    const failed = await post('/render', 'x');
    expect([failed.status, await failed.json()]).toEqual([
      500,
      { error: { message: 'The request failed.' } },
    ]);
  });

  it('stores a job once for each key, and hands out its reply until it is deleted', async () => {
    await startFront();
    const first = await post('/jobs/upper', 'hello', { 'idempotency-key': 'one' });
    const location = first.headers.get('location') ?? '';
    expect([first.status, location]).toEqual([202, expect.stringMatching(/^\/jobs\/\w{32}$/)]);
    const again = await post('/jobs/upper', 'hello', { 'idempotency-key': 'one' });
    expect(again.headers.get('location')).toBe(location);
    expect((await fetch(`${base}${location}`)).status).toBe(202);
    page.majordomo('worker', 'upper', ...UPPER);
    let answer = await fetch(`${base}${location}`);
    while (answer.status === 202) answer = await fetch(`${base}${location}`);
    expect([answer.status, await answer.text()]).toEqual([200, 'HELLO']);
    expect((await fetch(`${base}${location}`, { method: 'DELETE' })).status).toBe(204);
    expect((await fetch(`${base}${location}`)).status).toBe(404);
    expect((await fetch(`${base}/jobs/none`)).status).toBe(404);
  });
});

describe('http-front.md, in one line', () => {
  it('answers with status and body of the broker', async () => {
    const programs = (text: string): string =>
      text.replace('127.0.0.1:5580', new URL(httpOf(page.daemon)).host);
    const token = { name: 'shop', role: 'request', token: TOKEN, client: ['upper'] };
    const http = ['http.listen=127.0.0.1:0', `http.tokens=[${JSON.stringify(token)}]`];
    page = await startPage([...QUICK, ...http]);
    page.majordomo('worker', 'upper', ...UPPER);
    await page.daemon.waitFor('worker.registered');
    const forward = programsOf('http-front', 'ts', programs).get('forward.ts') ?? '';
    const ask = `import { forward } from '${forward}';
      for (const name of ['upper', 'lower']) {
        const answer = await forward(name, 'hello');
        console.log(answer.status, answer.ok ? await answer.text() : '');
      }`;
    const args = ['--input-type=module', '--eval', ask];
    const env = { ...process.env, MAJORDOMO_TOKEN: TOKEN };
    expect((await run(process.execPath, args, { env })).stdout).toBe('200 HELLO\n403 \n');
  });
});

describe('chain.md', () => {
  const failed = { stderr: expect.stringContaining('ERR_MDP_TIMEOUT') };
  /** The client with another time-out, for answers that take their time on a busy machine. */
  const patientClient = (): string => {
    const patient = (text: string): string => text.replace('timeoutMs: 1000', 'timeoutMs: 60_000');
    return programsOf('chain', 'ts', patient).get('quote.ts') ?? '';
  };

  it('passes headers and replies on, and stops waiting at the deadline of its client', async () => {
    page = await startPage(QUICK);
    const programs = programsOf('chain', 'ts');
    const worker = await startWorker(programs.get('quote-worker.ts'), 1);
    const price = page.majordomo('worker', 'price', '--', 'sed', 's/$/: 42 EUR/');
    await page.daemon.waitFor('worker.registered', 2);
    const { stdout } = await run(process.execPath, [patientClient()]);
    expect(stdout).toBe('a quote of book: 42 EUR\n');
    await price.stop();
    page.majordomo('worker', 'price', '--', 'sleep', '60');
    await page.daemon.waitFor('worker.registered', 3);
    const client = programsOf('chain', 'ts').get('quote.ts') ?? '';
    await expect(run(process.execPath, [client])).rejects.toMatchObject(failed);
    await worker.says('no price: ERR_MDP_ABORTED\n');
  });

  itWithTool('python3-zmq', 'gives the next worker the deadline in Python, too', async () => {
    page = await startPage(QUICK);
    const where = { PYTHONPATH: resolve('packages/python') };
    page.start(PYTHON, [programsOf('chain', 'python').get('quote_worker.py') ?? ''], where);
    page.start(PYTHON, ['-c', PRICE], where);
    await page.daemon.waitFor('worker.registered', 2);
    const { stdout } = await run(process.execPath, [patientClient()]);
    const [, leftMs = 0] = /^a quote of acme (\d+)\n$/.exec(stdout) ?? [];
    expect(Number(leftMs)).toBeGreaterThan(0);
    expect(Number(leftMs)).toBeLessThanOrEqual(60_000);
  });
});

describe('python-web.md', () => {
  itWithTool(
    'python3-zmq',
    'stores a request once for each order, and shows its state',
    async () => {
      page = await startPage(QUICK);
      const programs = programsOf('python-web', 'python');
      const env = { ...process.env, PYTHONPATH: resolve('packages/python') };
      const python = async (...args: readonly string[]): Promise<string> =>
        (await run(PYTHON, [...args], { env, cwd: page.directory })).stdout;
      await python('-m', 'py_compile', ...programs.values());
      page.majordomo('worker', 'render', ...UPPER);
      await page.daemon.waitFor('worker.registered');
      const said = await python('-c', WEB.replace('ENDPOINT', page.daemon.endpoint));
      expect(said).toBe("True\n('replied', 'SCENE')\n('replied', 'SCENE')\n('unknown', None)\n");
    },
  );
});

/** Answers with the tenant and the time that its client still waits. */
const PRICE = `
import os
from majordomo_client import Worker
def price(request):
    return f"{request.headers['tenant']} {int(request.remaining_ms())}"
Worker(os.environ["MAJORDOMO_URL"], "price", price).run()
`;

/** What the views do. */
const WEB = `
import asyncio, renders
from majordomo_client import AsyncClient
uuid = renders.start("17", "scene")
renders.client().job(uuid).result(timeout_ms=60_000)
async def main():
    async with AsyncClient("ENDPOINT") as broker:
        print(await renders.start_async(broker, "17", "scene") == uuid)
        print(await renders.result_async(broker, uuid))
asyncio.run(main())
print(renders.result(uuid))
print(renders.result("none"))
`;

describe('python-fleet.md', () => {
  itWithTool('python3-zmq', 'has a worker that answers, fails and leaves', async () => {
    page = await startPage();
    const [worker] = blocksOf('docs/recipes/python-fleet.md', 'python');
    page.saved('words.py', worker?.text ?? '');
    const command = ['-m', 'majordomo_client.worker', 'words:count', '--service', 'word.count'];
    const where = { PYTHONPATH: resolve('packages/python') };
    const fleet = [page.start(PYTHON, command, where), page.start(PYTHON, command, where)];
    await page.daemon.waitFor('worker.registered', 2);
    expect(await page.shell("majordomo request word.count 'one two three'")).toBe('3\n');
    await expect(page.shell("majordomo request word.count ''")).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('word.count failed: no_text: no text'),
    });
    expect(await Promise.all(fleet.map((each) => each.stop()))).toEqual([0, 0]);
    await page.daemon.waitFor('worker.lost', 2);
    const reasons = page.daemon.logged('worker.lost').map(({ reason }) => reason);
    expect(reasons).toEqual(['disconnected', 'disconnected']);
  });
});

/** Eight at once. */
const MANY = `
import { connect } from 'majordomo-sdk';
const client = connect('tcp://127.0.0.1:5555', { timeoutMs: 60_000 });
await Promise.all(Array.from('ABCDEFGH', (place) => client.request('geocode', place)));
`;

describe('rate-limited-api.md', () => {
  it('keeps the interval, waits as long as the API asks, and tries again', async () => {
    const [limits] = blocksOf('docs/recipes/rate-limited-api.md', 'yaml');
    const { broker } = parse(limits?.text ?? '') as { broker: { services: object[] } };
    page = await startPage([...QUICK, `broker.services=${JSON.stringify(broker.services)}`]);
    const calls: number[] = [];
    const server = createServer((request, response) => {
      calls.push(performance.now());
      if (calls.length === 1) response.writeHead(429, { 'retry-after': '1' }).end();
      else response.end(`place of ${request.url}`);
    });
    servers.push(server);
    const port = await listening(server);
    const programs = programsOf('rate-limited-api', 'ts');
    const api = { GEOCODE_API: `http://127.0.0.1:${port}/` };
    await startWorker(programs.get('geocode-worker.ts'), 1, api);
    const { stdout } = await run(process.execPath, [programs.get('geocode-client.ts') ?? '']);
    expect(stdout).toBe('place of /?q=Berlin\n');
    await run(process.execPath, [page.saved('many.mjs', MANY)]);
    const [first = 0, second = 0, third = 0] = calls;
    expect(calls).toHaveLength(2 + 8);
    expect(second - first).toBeGreaterThan(990);
    // The second one had started before, and waited in its handler: the interval is that of the others.
    expect((calls.at(-1) ?? 0) - third).toBeGreaterThan(7 * 190);
  });
});

describe('idempotent-payment.md', () => {
  it('charges once, whatever is sent again and whoever is restarted', async () => {
    page = await startPage(QUICK);
    const programs = programsOf('idempotent-payment', 'ts');
    const payer = programs.get('pay.ts') ?? '';
    const ledger = { LEDGER: join(page.directory, 'ledger') };
    const worker = await startWorker(programs.get('payment-worker.ts'), 1, ledger);
    const pay = async (order: string): Promise<string> =>
      (await run(process.execPath, [payer, order])).stdout;
    expect(await pay('17')).toBe('charge-of-payment-17\n');
    expect(await pay('17')).toBe('charge-of-payment-17\n');
    await worker.kill();
    await startWorker(programs.get('payment-worker.ts'), 2, ledger);
    // As after the broker has forgotten the key: the worker sees the same payment again.
    const again = '{"key": "payment-17", "order": "17", "cents": 4200}';
    expect(await page.shell(`majordomo request payment '${again}'`)).toBe(
      '{"charge":"charge-of-payment-17"}\n',
    );
    const line = '{"key":"payment-17","charge":"charge-of-payment-17"}\n';
    expect(readFileSync(ledger.LEDGER, 'utf8')).toBe(line);
    const dear = '{"key": "payment-18", "order": "18", "cents": 4200000}';
    await expect(page.shell(`majordomo request payment '${dear}'`)).rejects.toMatchObject({
      stderr: expect.stringContaining('card_declined'),
    });
  });
});

describe('cron.md', () => {
  it('has a line that stores one request a day, however often it runs', async () => {
    page = await startPage(QUICK);
    const line = blocksOf('docs/recipes/cron.md', 'sh').find(({ text }) => text.includes('--key'));
    const first = await page.shell(line?.text ?? '');
    expect(first).toMatch(/^[0-9A-F]{32}\n$/);
    expect(await page.shell(line?.text ?? '')).toBe(first);
  });
});

describe('cron.md, with a schedule', () => {
  it('has commands and a program that make one schedule, and a command that ends it', async () => {
    page = await startPage();
    const [lines] = blocksOf('docs/recipes/cron.md', 'sh');
    const [schedule = '', list = '', unschedule = ''] = lines?.text.split('\n') ?? [];
    expect(await page.shell(schedule)).toMatch(/^report is due next at .*T0[45]:00:00/);
    const program = programsOf('cron', 'ts').get('schedule.ts') ?? '';
    const { stdout } = await run(process.execPath, [program]);
    expect(stdout).toMatch(/^next: .*T0[45]:00:00/);
    expect((await page.shell(list)).match(/report\.daily/g)?.length).toBe(1);
    expect(await page.shell(unschedule)).toBe('report is ended\n');
  });
});

describe('kubernetes.md', () => {
  it('has a worker that takes its endpoints and keys from outside', async () => {
    page = await startPage();
    const keys = { secretKeyFile: 'broker.key', keysFile: 'keys.yaml' };
    await page.shell('majordomo keygen broker.key');
    const [admission] = blocksOf('docs/recipes/kubernetes.md', 'sh');
    const lines = admission?.text.split('\n').filter((line) => !line.includes('kubectl')) ?? [];
    for (const line of lines.slice(0, 2)) await page.shell(line);
    const [port = 0] = await freePorts(1);
    const endpoint = `tcp://127.0.0.1:${port}`;
    const listen = JSON.stringify([{ endpoint, curve: keys }]);
    const broker = page.startShell(
      `exec majordomo serve --set http.listen=off --set 'broker.listen=${listen}'`,
    );
    await broker.says('broker.ready');
    const programs = programsOf('kubernetes', 'ts');
    const worker = page.start(process.execPath, [programs.get('render-worker.ts') ?? ''], {
      KEYS: page.directory,
      MAJORDOMO_URL: endpoint,
    });
    await broker.says('worker.registered');
    expect(await worker.stop()).toBe(0);
  });
});

describe('metrics.md', () => {
  it('counts requests and handlers by outcome', async () => {
    page = await startPage(QUICK);
    const [port = 0, other = 0] = await freePorts(2);
    const programs = programsOf('metrics', 'ts', (text) => text.replace('9465', String(other)));
    const worker = readFileSync('examples/metrics-worker.ts', 'utf8').replace('9464', String(port));
    await startWorker(page.saved('metrics-worker.ts', worker), 1);
    page.start(process.execPath, [programs.get('metrics-client.ts') ?? '']);
    for (const [at, counted] of [
      [port, 'handler_seconds_count{service="echo",outcome="ok"} 1\n'],
      [other, 'client_request_seconds_count{service="echo",kind="request",outcome="ok"} 1\n'],
    ] as const) {
      await until(async () => {
        const answer = await fetch(`http://127.0.0.1:${at}/metrics`).catch(() => null);
        return (await answer?.text())?.includes(counted) === true;
      }, counted);
    }
  });
});

describe('tracing.md', () => {
  it('has a worker and a client', async () => {
    page = await startPage(QUICK);
    const programs = programsOf('tracing', 'ts');
    await startWorker(programs.get('upper-worker.ts'), 1);
    const { stdout } = await run(process.execPath, [programs.get('upper-client.ts') ?? '']);
    expect(stdout).toBe('HELLO\nLATER\n');
  });
});
