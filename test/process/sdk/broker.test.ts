import { hostname } from 'node:os';

import { Client, type ClientOptions } from '../../../src/sdk/client.js';
import type { Handler } from '../../../src/sdk/worker/handler.js';
import { ServiceError, Worker, type WorkerOptions } from '../../../src/sdk/worker.js';
import { killAll } from '../../support/child.js';
import { type Daemon, removeDaemons, startDaemon } from '../../support/daemon.js';
import { silent } from '../../support/silent.js';
import { until } from '../../support/until.js';
import { PATIENCE_MS } from '../../support/patience.js';

/** Long enough that a busy machine does not expire live peers. */
const HEARTBEAT_MS = 1500;
/** Of a client that asks every second until its broker is back. */
const closing: (() => Promise<void>)[] = [];
/** For the whole file, where a case does not kill, stop or configure its own. */
let shared: Daemon;
let endpoint: string;

beforeAll(async () => {
  shared = await brokerAt();
  endpoint = shared.endpoint;
});

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
  const asking = new Client({ endpoints: [endpoint], timeoutMs: PATIENCE_MS });
  await registered(asking, 0);
  await asking.close();
  await killAll(shared);
});

afterAll(removeDaemons);

async function brokerAt(options: Parameters<typeof startDaemon>[0] = {}): Promise<Daemon> {
  return await startDaemon({ ...options, sets: [`broker.heartbeatIntervalMs=${HEARTBEAT_MS}`] });
}

function client(endpoint: string, options: Partial<ClientOptions> = {}): Client {
  const made = new Client({ endpoints: [endpoint], ...options });
  closing.push(() => made.close());
  return made;
}

function worker(endpoint: string, options: Partial<WorkerOptions>, handler: Handler): Worker {
  const fixed = { endpoints: [endpoint], heartbeatIntervalMs: HEARTBEAT_MS };
  const made = new Worker({ ...fixed, service: 'echo', ...options }, handler);
  closing.push(() => made.close({ graceMs: 100 }));
  void made.run();
  return made;
}

const echo: Handler = (request) => request.frames;

/** Waits until this many workers are registered. */
async function registered(asking: Client, count: number): Promise<void> {
  await until(async () => {
    // 404, and no JSON, while there is none.
    const [, json] = (await asking.request('mmi.workers', 'echo')).frames;
    const list: unknown = JSON.parse(json === undefined ? '[]' : String(json));
    return Array.isArray(list) && list.length === count;
  }, `${count} workers`);
}

/** What each worker of the service is called. */
async function namesOf(asking: Client): Promise<unknown[]> {
  const [, json] = (await asking.request('mmi.workers', 'echo')).frames;
  const list = JSON.parse(String(json)) as { readonly name: unknown }[];
  return list.map(({ name }) => name);
}

describe("a worker's name (D67)", () => {
  it.each<['0.1' | '0.2', number]>([
    ['0.1', 1],
    ['0.2', 1],
    ['0.2', 3],
  ])('is host and process, or what it is told to be (%s, concurrency %i)', async (protocol, n) => {
    const asking = client(endpoint, { timeoutMs: PATIENCE_MS });
    worker(endpoint, { protocol, concurrency: n }, echo);
    await registered(asking, 1);
    worker(endpoint, { protocol, concurrency: n, name: 'Köln <1>\x1b[2J' }, echo);
    await registered(asking, 2);
    worker(endpoint, { protocol, concurrency: n, name: '' }, echo);
    await registered(asking, 3);
    expect(await namesOf(asking)).toEqual([
      `${hostname()}:${process.pid}`,
      'K%C3%B6ln <1>%1B[2J',
      null,
    ]);
    expect((await asking.request('echo', 'hi')).text()).toBe('hi');
  });
});

describe('client and worker with the broker', () => {
  it.each<['0.1' | '0.2', '0.1' | '0.2', number]>([
    ['0.1', '0.1', 1],
    ['0.1', '0.2', 10],
    ['0.2', '0.1', 10],
    ['0.2', '0.2', 1],
    ['0.2', '0.2', 100],
  ])(
    '1,000 outstanding requests each get their own answer (client %s, worker %s, concurrency %i)',
    async (theirs, ours, concurrency) => {
      worker(endpoint, { protocol: ours, concurrency }, echo);
      const asking = client(endpoint, { protocol: theirs, timeoutMs: PATIENCE_MS });
      const asked = Array.from({ length: 1000 }, (_, number) => `request ${number}`);
      const replies = await Promise.all(asked.map((body) => asking.request('echo', body)));
      expect(replies.map((reply) => reply.text())).toEqual(asked);
      expect(asking.counters).toEqual({
        malformed: 0,
        late: 0,
        resends: 0,
        hedges: 0,
        reopened: 0,
        resumed: 0,
      });
    },
  );

  it('a broker that is killed and restarted gets both back, and no request is lost', async () => {
    const first = await brokerAt();
    const { endpoint } = first;
    worker(endpoint, { concurrency: 4 }, echo);
    worker(endpoint, {}, echo);
    const asking = client(endpoint, { timeoutMs: PATIENCE_MS });
    expect((await asking.request('echo', 'before')).text()).toBe('before');
    await first.kill();
    const during = Promise.all(
      Array.from({ length: 100 }, (_, number) => asking.request('echo', String(number))),
    );
    await brokerAt({ endpoint, dataDir: first.dataDir });
    const replies = await during;
    expect(replies.map((reply) => reply.text())).toEqual(
      Array.from({ length: 100 }, (_, number) => String(number)),
    );
  });

  it('a broker that is stopped and continued gets both back', async () => {
    const broker = await brokerAt();
    worker(broker.endpoint, {}, echo);
    const asking = client(broker.endpoint, { timeoutMs: PATIENCE_MS });
    await asking.request('echo', 'before');
    broker.signal('SIGSTOP');
    const during = asking.request('echo', 'during');
    await until(() => asking.counters.reopened > 0, 'a new link');
    broker.signal('SIGCONT');
    expect((await during).text()).toBe('during');
  });

  it('a ServiceError reaches the client and the broker', async () => {
    const card = { card: '4242', tries: [1, 2] };
    const failing = worker(endpoint, {}, async function* (request) {
      if (request.text() === 'stream') yield 'a part';
      const retry = request.text() === 'elsewhere' ? 'elsewhere' : false;
      throw new ServiceError('card_declined', 'The card was declined', { retry, details: card });
    });
    silent(failing);
    const asking = client(endpoint, { timeoutMs: PATIENCE_MS });
    await registered(asking, 1);
    const failed = {
      ...{ name: 'ServiceError', code: 'ERR_SERVICE_FAILED', service: 'echo' },
      ...{ serviceCode: 'card_declined', message: 'The card was declined', details: card },
    };
    await expect(asking.request('echo', 'x')).rejects.toMatchObject(failed);
    // Of one that nobody could do, code and text are kept.
    const kept = { ...failed, details: {} };
    await expect(asking.request('echo', 'elsewhere')).rejects.toMatchObject(kept);
    const parts: string[] = [];
    const streaming = (async () => {
      for await (const part of asking.stream('echo', 'stream')) parts.push(part.text());
    })();
    await expect(streaming).rejects.toMatchObject(failed);
    expect(parts).toEqual(['a part']);
    const job = await asking.submit('echo', 'x');
    await expect(job.result({ timeoutMs: PATIENCE_MS })).rejects.toMatchObject(failed);
    expect(await job.state()).toEqual({
      ...{ state: 'dead', code: 'card_declined', reason: 'The card was declined' },
    });
  });

  it('with exposeErrors: false, clients get the code of an error and not its message', async () => {
    const failing = worker(endpoint, { exposeErrors: false }, () => {
      throw Object.assign(new Error('the password is 1234'), { code: 'ENOENT' });
    });
    silent(failing);
    const asking = client(endpoint, { timeoutMs: PATIENCE_MS });
    await expect(asking.request('echo', 'x')).rejects.toMatchObject({
      ...{ serviceCode: 'ENOENT', message: 'ENOENT' },
    });
  });
});
