import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

import { Client, isMajordomoError } from '../../../src/sdk/client.js';
import { Worker, type WorkerOptions } from '../../../src/sdk/worker.js';
import {
  FakeClock,
  startTestBroker,
  type TestBroker,
  type TestBrokerOptions,
} from '../../../src/testing/testing.js';
import { until } from '../../support/until.js';
import { PATIENCE_MS } from '../../support/patience.js';

const HOUR_MS = 3_600_000;
const HOURLY = { cron: '@hourly', timeZone: 'Europe/Berlin' };

const opened: { close(): Promise<unknown> }[] = [];

function opening<Each extends { close(): Promise<unknown> }>(each: Each): Each {
  opened.unshift(each);
  return each;
}

/** Closes what a test opened, the last first. */
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

async function start(options?: TestBrokerOptions): Promise<TestBroker> {
  return opening(await startTestBroker(options));
}

function clientOf({ endpoint }: TestBroker): Client {
  return opening(new Client({ endpoints: endpoint }));
}

async function offer(
  { endpoint }: TestBroker,
  service: string,
  handler: (body: string) => string,
  options: Partial<WorkerOptions> = {},
): Promise<Worker> {
  const worker = opening(
    new Worker({ endpoints: endpoint, service, ...options }, (request) => handler(request.text())),
  );
  void worker.run();
  await worker.ready;
  return worker;
}

describe('startTestBroker', () => {
  it('gives requests to workers over real sockets', async () => {
    const broker = await start();
    expect(broker.endpoint).toMatch(/^tcp:\/\/127\.0\.0\.1:\d+$/);
    await offer(broker, 'upper', (text) => text.toUpperCase());
    const client = clientOf(broker);
    expect((await client.request('upper', 'hello')).text()).toBe('HELLO');
    expect((await client.request('mmi.service', 'upper')).text()).toBe('200');
  });

  it('stores requests, which survive its restart', async () => {
    const broker = await start();
    const client = clientOf(broker);
    const job = await client.enqueue('upper', 'later', { idempotencyKey: 'one' });
    const { endpoint } = broker;
    await broker.restart();
    expect(broker.endpoint).toBe(endpoint);
    await offer(broker, 'upper', (text) => text.toUpperCase());
    expect((await job.result()).text()).toBe('LATER');
    await broker.restart();
    expect((await client.enqueue('upper', 'later', { idempotencyKey: 'one' })).uuid).toBe(job.uuid);
  });

  it('attempts a stored request as often as it is told', async () => {
    const broker = await start({ maxAttempts: 2, retryBaseMs: 1, retryMaxMs: 1 });
    let attempts = 0;
    await offer(broker, 'fail', () => {
      attempts++;
      throw new Error('no');
    });
    const job = await clientOf(broker).enqueue('fail', 'x');
    await expect(job.result()).rejects.toMatchObject({ code: 'ERR_SERVICE_FAILED' });
    expect(attempts).toBe(2);
  });

  it('pauses between the attempts of one request as long as its client says', async () => {
    const clock = new FakeClock();
    const broker = await start({ clock, retryBaseMs: 1, retryMaxMs: 1 });
    let attempts = 0;
    await offer(broker, 'fail', () => {
      attempts++;
      throw new Error('no');
    });
    const backoff = { baseMs: HOUR_MS, maxMs: 2 * HOUR_MS };
    const job = await clientOf(broker).enqueue('fail', 'x', { maxAttempts: 4, backoff });
    const failed = expect(job.result()).rejects.toMatchObject({ code: 'ERR_SERVICE_FAILED' });
    for (const [attempt, pauseMs] of [HOUR_MS, 2 * HOUR_MS, 2 * HOUR_MS].entries()) {
      await until(() => attempts === attempt + 1, `attempt ${attempt + 1}`);
      await delay(20);
      await clock.advance(pauseMs / 2 - 1000);
      await delay(20);
      expect(attempts).toBe(attempt + 1);
      await clock.advance(pauseMs / 2 + 1000);
    }
    await failed;
    expect(attempts).toBe(4);
  });

  it('a key names one request: enqueue says whether it existed, and in which state (D112)', async () => {
    const broker = await start();
    const client = clientOf(broker);
    const options = { idempotencyKey: 'order-17' };
    const again = async (): Promise<unknown> => {
      const { uuid, existed, found } = await client.enqueue('upper', 'one', options);
      return [uuid, existed, found];
    };
    const { uuid, existed, found } = await client.enqueue('upper', 'one', options);
    expect([existed, found]).toEqual([false, null]);
    expect(await again()).toEqual([uuid, true, 'pending']);
    for (const [body, more] of [
      ['two', {}],
      ['one', { priority: 1 }],
    ] as const) {
      await expect(client.enqueue('upper', body, { ...options, ...more })).rejects.toMatchObject({
        ...{ code: 'ERR_TITANIC_KEY_REUSED', details: { status: 409 } },
      });
    }
    await offer(broker, 'upper', (text) => text.toUpperCase());
    expect((await client.job(uuid).result()).text()).toBe('ONE');
    expect(await again()).toEqual([uuid, true, 'replied']);
    await client.job(uuid).close();
    expect(await again()).toEqual([uuid, true, 'closed']);
    expect([client.job(uuid).existed, client.job(uuid).found]).toEqual([null, null]);
    expect((await client.enqueue('upper', 'one')).existed).toBe(false);
  });

  it('has a clock that a test puts forward', async () => {
    const clock = new FakeClock();
    const broker = await start({ clock });
    const worker = await offer(broker, 'upper', (text) => text.toUpperCase());
    let losses = 0;
    worker.on('lost', () => losses++);
    const client = clientOf(broker);
    const job = await client.enqueue('upper', 'in an hour', { delayMs: HOUR_MS });
    await expect(job.result({ timeoutMs: 50 })).rejects.toMatchObject({
      code: 'ERR_TITANIC_PENDING',
    });
    await clock.advance(HOUR_MS);
    expect((await job.result()).text()).toBe('IN AN HOUR');
    expect(losses).toBe(0);
  });

  it('runs a request whose delay is longer than the time to live, which counts from its end (D109)', async () => {
    const clock = new FakeClock();
    const broker = await start({ clock });
    await offer(broker, 'upper', (text) => text.toUpperCase());
    const client = clientOf(broker);
    const jobs = [
      await client.enqueue('upper', 'usual', { delayMs: 24 * 8 * HOUR_MS }),
      await client.enqueue('upper', 'own', { delayMs: 24 * 8 * HOUR_MS, ttlMs: HOUR_MS }),
    ];
    await clock.advance(24 * 8 * HOUR_MS);
    const replies = await Promise.all(jobs.map((job) => job.result()));
    expect(replies.map((reply) => reply.text())).toEqual(['USUAL', 'OWN']);
  });

  it('runs on after a leap', async () => {
    const clock = new FakeClock();
    const broker = await start({ clock });
    await offer(broker, 'upper', (text) => text.toUpperCase());
    const job = await clientOf(broker).enqueue('upper', 'soon', { delayMs: HOUR_MS });
    await Promise.all([clock.advance(HOUR_MS / 2), clock.advance(HOUR_MS / 2 - 50)]);
    expect((await job.result()).text()).toBe('SOON');
  });

  it('ends what waits for a leap when it is closed', async () => {
    const clock = new FakeClock();
    const broker = await start({ clock });
    const leapt = clock.advance(HOUR_MS);
    await broker.close();
    await leapt;
  });

  it('stays closed if it is closed while it restarts', async () => {
    const broker = await start();
    const restarted = broker.restart();
    await broker.close();
    await restarted;
    await expect(broker.restart()).rejects.toMatchObject({ code: 'ERR_MDP_CLOSED' });
  });

  it('expires requests that wait for a worker, in its own time', async () => {
    const clock = new FakeClock();
    const broker = await start({ clock, requestTtlMs: HOUR_MS });
    const client = clientOf(broker);
    const asked = client.request('nobody', 'x', { timeoutMs: PATIENCE_MS });
    const refused = expect(asked).rejects.toMatchObject({
      code: 'ERR_MDP_REFUSED',
      details: { status: '408' },
    });
    await client.request('mmi.service', 'nobody');
    await clock.advance(HOUR_MS + 1);
    await refused;
  });

  it('can be closed more than once, and ends connections', async () => {
    const broker = await start();
    const worker = await offer(broker, 'upper', (text) => text);
    const lost = new Promise((resolve) => worker.on('lost', resolve));
    await broker.close();
    await broker.close();
    await lost;
    await expect(broker.restart()).rejects.toMatchObject({ code: 'ERR_MDP_CLOSED' });
  });

  it.each<[string, object]>([
    ['port is not an option of startTestBroker', { port: 5555 }],
    ['endpoint must be text', { endpoint: 5555 }],
    ['clock must be a FakeClock', { clock: Date }],
    ['maxAttempts must be a whole number', { maxAttempts: 0 }],
    ['requestTtlMs must be a whole number', { requestTtlMs: '5s' }],
  ])('refuses options: %s', async (says, options) => {
    await expect(startTestBroker(options as TestBrokerOptions)).rejects.toMatchObject({
      code: 'ERR_MDP_OPTION',
      message: expect.stringContaining(says),
    });
  });

  it('refuses an endpoint that is in use, and a form that it cannot listen on', async () => {
    const { endpoint } = await start();
    const inUse: unknown = await startTestBroker({ endpoint }).catch((error: unknown) => error);
    expect(isMajordomoError(inUse, 'ERR_MDP_ENDPOINT_IN_USE')).toBe(true);
    await expect(startTestBroker({ endpoint: 'udp://x:1' })).rejects.toMatchObject({
      code: 'ERR_MDP_ENDPOINT',
    });
  });

  it('loads no native module', () => {
    const program = `
      const { startTestBroker } = await import(${JSON.stringify(new URL('../../../src/testing/testing.js', import.meta.url))});
      const broker = await startTestBroker();
      await broker.close();
      console.log(JSON.stringify(process.report.getReport().sharedObjects));`;
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', program]);
    const objects = JSON.parse(out.toString()) as string[];
    expect(objects.length).toBeGreaterThan(0);
    expect(objects.filter((path) => path.endsWith('.node'))).toEqual([]);
  });
});

describe('FakeClock', () => {
  it('runs, and leaps', async () => {
    const clock = new FakeClock();
    const [now, wall] = [clock.now(), clock.wall()];
    await delay(5);
    expect(clock.now()).toBeGreaterThan(now);
    await clock.advance(HOUR_MS);
    expect(clock.now() - now).toBeGreaterThan(HOUR_MS);
    expect(clock.wall() - wall).toBeGreaterThanOrEqual(HOUR_MS);
  });

  it.each([-1, NaN, Infinity])('does not take %s', async (ms) => {
    await expect(new FakeClock().advance(ms)).rejects.toThrow(RangeError);
  });
});

describe('schedules', () => {
  it('run hours later, when the clock leaps, with their options, headers and body', async () => {
    const clock = new FakeClock();
    const broker = await start({ clock });
    const client = clientOf(broker);
    const seen: string[] = [];
    const worker = opening(
      new Worker({ endpoints: broker.endpoint, service: 'report' }, (request) => {
        seen.push(`${request.text()} ${request.headers['tenant'] ?? ''}`);
        return 'done';
      }),
    );
    void worker.run();
    await worker.ready;
    const options = { cron: '@hourly', timeZone: 'Europe/Berlin', headers: { tenant: 'a' } };
    const made = await client.schedule('hourly', 'report', 'body', options);
    expect(made).toMatchObject({ name: 'hourly', service: 'report', ...HOURLY, firings: 0 });
    const untilDueMs = made.next.getTime() - clock.wall();
    expect(untilDueMs).toBeLessThanOrEqual(HOUR_MS);
    await clock.advance(untilDueMs);
    await until(() => seen.length === 1, 'the first request');
    await clock.advance(5 * HOUR_MS);
    await until(() => seen.length === 2, 'the second request');
    // The worker takes one request at a time, so the replies before this one are stored, too.
    await (await client.enqueue('report', 'last')).result();
    await broker.restart();
    const [known] = await client.schedules();
    expect(known).toMatchObject({ ...HOURLY, firings: 2, since: made.since });
    expect(known?.next.getTime()).toBe(made.next.getTime() + 6 * HOUR_MS);
    expect(seen).toEqual(['body a', 'body a', 'last ']);
    expect(await client.unschedule('hourly')).toBe(true);
    expect(await client.unschedule('hourly')).toBe(false);
    expect(await client.schedules()).toEqual([]);
  });

  it('are refused by an error that names the option, and nothing is stored', async () => {
    const client = clientOf(await start());
    const refused = async (options: unknown, name: unknown = 'n'): Promise<unknown> => {
      const given = options as { cron: string };
      return await client.schedule(name as string, 'report', '', given).catch((error: unknown) => {
        const { code, details } = error as {
          readonly code: string;
          readonly details: Readonly<Record<string, unknown>>;
        };
        return [code, details['option'] ?? details['text']];
      });
    };
    const option = 'ERR_MDP_OPTION';
    const broker = 'ERR_TITANIC_REFUSED';
    expect(await refused(undefined)).toEqual([option, 'cron']);
    expect(await refused({ cron: 1 })).toEqual([option, 'cron']);
    expect(await refused({ cron: '@daily', timeZone: 1 })).toEqual([option, 'timeZone']);
    expect(await refused({ cron: '@daily', idempotencyKey: 'k' })).toEqual([
      option,
      'idempotencyKey',
    ]);
    expect(await refused({ cron: '@daily', delayMs: -1 })).toEqual([option, 'delayMs']);
    expect(await refused({ cron: '@daily', colour: 1 })).toEqual([option, 'colour']);
    expect(await refused({ cron: '@daily' }, '')).toEqual([option, 'name']);
    expect(await refused({ cron: '@daily' }, 'ä'.repeat(65))).toEqual([option, 'name']);
    expect(await refused({ cron: '0 0 30 2 *' })).toEqual([broker, 'cron: it never comes']);
    expect(await refused({ cron: '0 0 0 1 1 * 2020' })).toEqual([
      broker,
      'cron: all its times are in the past',
    ]);
    expect(await refused({ cron: '@daily', timeZone: 'Mars/Olympus' })).toEqual([
      broker,
      'timeZone: there is no such time zone',
    ]);
    expect(await client.schedules()).toEqual([]);
  });

  it('are listed whole: as many as one owner may have', async () => {
    const client = clientOf(await start());
    const names = Array.from({ length: 1000 }, (_, at) => `n${String(at).padStart(4, '0')}`);
    // A few at a time: all at once, the last waits for all others, longer than a client does.
    for (let at = 0; at < names.length; at += 20) {
      const some = names.slice(at, at + 20);
      await Promise.all(some.map((name) => client.schedule(name, 'echo', '', { cron: '@daily' })));
    }
    expect((await client.schedules()).map(({ name }) => name)).toEqual(names);
  });
});
