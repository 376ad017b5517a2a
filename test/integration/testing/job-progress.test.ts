/** `job.progress()` against a broker with real sockets. */
import { setTimeout as delay } from 'node:timers/promises';

import { messageOf } from '../../../src/core/errors.js';
import { Client, type ClientOptions, type Job, json } from '../../../src/sdk/client.js';
import { type Handler, ServiceError, Worker } from '../../../src/sdk/worker.js';
import { startTestBroker, type TestBroker } from '../../../src/testing/testing.js';
import { until } from '../../support/until.js';
import { PATIENCE_MS } from '../../support/patience.js';

const opened: { close(): Promise<unknown> }[] = [];

function opening<Each extends { close(): Promise<unknown> }>(each: Each): Each {
  opened.unshift(each);
  return each;
}

/** Closes what a test opened, the last first. */
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

async function start(): Promise<TestBroker> {
  return opening(await startTestBroker({ retryBaseMs: 1, retryMaxMs: 1 }));
}

function clientOf({ endpoint }: TestBroker, options: Partial<ClientOptions> = {}): Client {
  return opening(new Client({ endpoints: endpoint, ...options }));
}

async function offer({ endpoint }: TestBroker, handler: Handler): Promise<Worker> {
  const worker = opening(
    new Worker({ endpoints: endpoint, service: 'render', concurrency: 2 }, handler),
  );
  void worker.run();
  await worker.ready;
  return worker;
}

/** A gate that opens once. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

async function texts(job: Job, options?: Parameters<Job['progress']>[0]): Promise<string[]> {
  const seen: string[] = [];
  for await (const part of job.progress(options)) {
    seen.push(`${part.attempt}.${part.index} ${part.text()}`);
  }
  return seen;
}

describe('job.progress', () => {
  it('yields each part as the worker sends it, and ends when the reply is there', async () => {
    const broker = await start();
    const next = [gate(), gate(), gate()];
    await offer(broker, async function* () {
      for (const [number, { opened }] of next.entries()) {
        await opened;
        yield [`part ${number}`, '!'];
      }
      return 'done';
    });
    const job = await clientOf(broker).enqueue('render', 'x');
    let number = 0;
    next[0]?.open();
    for await (const part of job.progress({ timeoutMs: PATIENCE_MS })) {
      expect(part).toMatchObject({ service: 'render', attempt: 1, index: number });
      expect(part.frames.map(String)).toEqual([`part ${number}`, '!']);
      next[++number]?.open();
    }
    expect(number).toBe(3);
    expect((await job.result()).text()).toBe('part 0!part 1!part 2!done');
  });

  it('misses no part of a quick worker, for any number of readers', async () => {
    const broker = await start();
    await offer(broker, async function* () {
      for (let number = 0; number < 200; number++) {
        yield await Promise.resolve(String(number));
        if (number % 50 === 0) await delay(2);
      }
      return 'done';
    });
    const client = clientOf(broker);
    const job = await client.enqueue('render', 'x', { delayMs: 50 });
    const wanted = Array.from({ length: 200 }, (_, number) => `1.${number} ${number}`);
    const all = await Promise.all([texts(job), texts(job), texts(clientOf(broker).job(job.uuid))]);
    expect(all).toEqual([wanted, wanted, wanted]);
  });

  it('reads parts by the codec of the client', async () => {
    const broker = await start();
    await offer(broker, async function* () {
      yield await Promise.resolve('{"percent":50}');
      return '{"done":true}';
    });
    const client = opening(new Client({ endpoints: broker.endpoint, codec: json() }));
    const job = await client.enqueue('render', {}, { delayMs: 50 });
    const seen: unknown[] = [];
    for await (const part of job.progress()) seen.push(part.value);
    expect(seen).toEqual([{ percent: 50 }]);
    expect((await job.result()).frames.map(String)).toEqual(['{"percent":50}', '{"done":true}']);
  });

  it.each([
    ['values that cannot be read as one', ['{"a":1}', '{"b":2}'], { b: 2 }],
    ['values that can be read as one', ['1', '2'], 2],
    ['one value', ['{"b":2}'], { b: 2 }],
    ['one value in several frames', ['{"b":', '2}'], { b: 2 }],
  ])(
    'leaves to result(), and state(), what a generator returned: of %s',
    async (_, frames, last) => {
      const broker = await start();
      await offer(broker, async function* () {
        for (const frame of frames.slice(0, -1)) yield await Promise.resolve(frame);
        return frames.at(-1) ?? '';
      });
      const client = opening(new Client({ endpoints: broker.endpoint, codec: json() }));
      const job = await client.enqueue('render', {});
      expect((await job.result()).value).toEqual(last);
      const state = await job.state();
      expect(state.state === 'replied' && state.reply.value).toEqual(last);
    },
  );

  it('has result() throw for what no reading of the reply gives a value', async () => {
    const broker = await start();
    await offer(broker, async function* () {
      yield await Promise.resolve('{');
      return 'done';
    });
    const client = opening(new Client({ endpoints: broker.endpoint, codec: json() }));
    const job = await client.enqueue('render', {});
    const reply = await job.result();
    expect(() => reply.value).toThrow(expect.objectContaining({ code: 'ERR_MDP_CODEC' }));
    expect(reply.text()).toBe('{done');
  });

  it('begins again with each attempt', async () => {
    const broker = await start();
    let attempts = 0;
    const seen = gate();
    await offer(broker, async function* () {
      yield await Promise.resolve('a');
      if (attempts++ === 0) {
        await seen.opened;
        throw new Error('not yet');
      }
      yield 'b';
      return 'done';
    });
    const job = await clientOf(broker).enqueue('render', 'x');
    const parts: string[] = [];
    for await (const part of job.progress()) {
      parts.push(`${part.attempt}.${part.index} ${part.text()}`);
      seen.open();
    }
    expect(parts).toEqual(['1.0 a', '2.0 a', '2.1 b']);
  });

  it('goes on after a restart of the broker, whose parts are lost', async () => {
    const broker = await start();
    const end = gate();
    await offer(broker, async function* () {
      yield await Promise.resolve('a');
      await end.opened;
      return 'done';
    });
    const job = await clientOf(broker, { timeoutMs: 20_200 }).enqueue('render', 'x');
    const parts = job.progress();
    expect(await parts.next()).toMatchObject({ value: { attempt: 1, index: 0 } });
    await broker.restart();
    expect(await parts.next()).toMatchObject({ value: { attempt: 1, index: 0 } });
    end.open();
    expect(await parts.next()).toEqual({ done: true, value: undefined });
  });

  it('throws what result() does for a dead, and for a closed request', async () => {
    const broker = await start();
    await offer(broker, async function* () {
      yield await Promise.resolve('a');
      await delay(20);
      throw new ServiceError('no-paper', 'the tray is empty', { retry: false });
    });
    const client = clientOf(broker);
    const job = await client.enqueue('render', 'x', { delayMs: 20 });
    const parts = job.progress();
    expect(await parts.next()).toMatchObject({ done: false });
    await expect(parts.next()).rejects.toMatchObject({
      code: 'ERR_SERVICE_FAILED',
      service: 'render',
      serviceCode: 'no-paper',
    });
    expect(await parts.next()).toEqual({ done: true, value: undefined });
    await job.close();
    await expect(texts(job)).rejects.toMatchObject({ code: 'ERR_TITANIC_UNKNOWN' });
  });

  it('ends with ERR_TITANIC_PENDING when no part comes in time, and can go on', async () => {
    const broker = await start();
    const job = await clientOf(broker).enqueue('render', 'x');
    const began = performance.now();
    await expect(texts(job, { timeoutMs: 60 })).rejects.toMatchObject({
      code: 'ERR_TITANIC_PENDING',
      details: { uuid: job.uuid },
    });
    expect(performance.now() - began).toBeGreaterThan(50);
    await offer(broker, () => 'done');
    expect(await texts(job)).toEqual([]);
  });

  it('says why no part comes, as far as the broker knows it', async () => {
    const broker = await start();
    const client = clientOf(broker);
    const { uuid } = await client.enqueue('render', 'x');
    const settings = { timeoutMs: 5000 };
    const said = async (waits: Promise<unknown>): Promise<string> =>
      await waits.then(
        () => 'no error',
        (error: unknown) => messageOf(error),
      );
    const job = await client.enqueue('render', 'x');
    const why = ': no worker serves it';
    const show = `; only its uuid is known here: \`majordomo durable show ${uuid}\` tells its service and its state`;
    const withUuid = client.job(uuid);
    expect(
      await Promise.all([
        said(texts(job, settings)),
        said(texts(withUuid, settings)),
        said(withUuid.result(settings)),
      ]),
    ).toEqual([
      `no part of the reply to the durable request ${job.uuid} within 5000 ms${why}`,
      `no part of the reply to the durable request ${uuid} within 5000 ms${show}`,
      `no reply to the durable request ${uuid} within 5000 ms${show}`,
    ]);
  });

  it('is aborted by its signal, and by the close of the client', async () => {
    const broker = await start();
    const client = clientOf(broker);
    const job = await client.enqueue('render', 'x');
    const controller = new AbortController();
    const { signal } = controller;
    const aborted = expect(texts(job, { signal })).rejects.toMatchObject({
      code: 'ERR_MDP_ABORTED',
      cause: 'enough',
    });
    await until(() => client.outstanding === 1, 'a question');
    controller.abort('enough');
    await aborted;
    expect(client.outstanding).toBe(0);
    await expect(texts(job, { signal })).rejects.toMatchObject({ code: 'ERR_MDP_ABORTED' });
    const closed = expect(texts(job)).rejects.toMatchObject({ code: 'ERR_MDP_CLOSED' });
    await until(() => client.outstanding === 1, 'a question');
    await client.close();
    await closed;
  });

  it('asks nothing more when the loop is left, also while it waits', async () => {
    const broker = await start();
    const end = gate();
    await offer(broker, async function* () {
      yield await Promise.resolve('a');
      await end.opened;
      return 'done';
    });
    const client = clientOf(broker);
    const job = await client.enqueue('render', 'x');
    for await (const part of job.progress()) {
      expect(part.text()).toBe('a');
      break;
    }
    expect(client.outstanding).toBe(0);
    const parts = job.progress();
    await parts.next();
    const waiting = parts.next();
    await until(() => client.outstanding === 1, 'a question');
    expect(await parts.return?.()).toEqual({ done: true, value: undefined });
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(client.outstanding).toBe(0);
    end.open();
    await job.result();
  });

  it.each([
    ['timeoutMs', { timeoutMs: 0 }],
    ['signal', { signal: true }],
    ['from', { from: 1 }],
  ])('refuses options: %s', async (option, options) => {
    const job = clientOf(await start()).job('0'.repeat(32));
    expect(() => job.progress(options as never)).toThrow(
      expect.objectContaining({ code: 'ERR_MDP_OPTION', details: { option } }),
    );
  });
});
