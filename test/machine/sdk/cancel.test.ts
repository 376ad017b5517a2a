/** Requests that nobody waits for any more: what client and worker say and do (D106). */
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';

import { Client } from '../../../src/sdk/client.js';
import type { Handler, HandlerContext } from '../../../src/sdk/worker/handler.js';
import { Worker, type WorkerOptions } from '../../../src/sdk/worker.js';
import { Task } from '../../../src/sdk/worker/worker-session.js';
import { FakeNet, shown } from './fake-dial.js';

const ENDPOINT = 'tcp://a:1';
const OFFERS = JSON.stringify({ extensions: ['credit', 'ready-options', 'headers', 'cancel'] });
const PROBE = Buffer.alloc(5);

const closing: (() => Promise<void>)[] = [];
const emitWarning = process.emitWarning.bind(process);
let warnings: string[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
  process.emitWarning = emitWarning;
  warnings = [];
});

function clientOf(extensions: string): { client: Client; net: FakeNet } {
  const net = new FakeNet();
  const client = new Client({ endpoints: ENDPOINT, dial: net.dial });
  closing.push(() => client.close());
  net.link.events.connected();
  if (extensions !== '') saysFacts(net, extensions);
  net.link.written();
  return { client, net };
}

function saysFacts(net: FakeNet, extensions: string): void {
  net.link.says(PROBE, '', 'MDPC02', '\x03', 'mmi.broker', '200', extensions);
}

describe('a client', () => {
  it('takes back what was aborted together in one message, by what it sent', async () => {
    const { client, net } = clientOf(OFFERS);
    const abort = new AbortController();
    const { signal } = abort;
    const all = ['a', 'b'].map((body) => client.request('echo', body, { signal }));
    const sent = net.link.written().map(([id]) => id?.toString('hex'));
    abort.abort();
    for (const each of all) await expect(each).rejects.toMatchObject({ code: 'ERR_MDP_ABORTED' });
    const [cancel, ...others] = net.link.written();
    expect(others).toEqual([]);
    expect(shown([cancel?.slice(0, 4) ?? []])).toEqual(['|MDPC02|\\x01|mmi.cancel']);
    expect(cancel?.slice(4).map((id) => id.toString('hex'))).toEqual(sent);
    // The answer is nobody's.
    net.link.says('MDPC02', '\x03', 'mmi.cancel', '200');
    expect(client.counters).toMatchObject({ malformed: 0, late: 0 });
  });

  it('takes back what was aborted in the turn in which it is closed', async () => {
    const { client, net } = clientOf(OFFERS);
    const abort = new AbortController();
    const aborted = client.request('echo', 'a', { signal: abort.signal });
    const { link } = net;
    link.written();
    abort.abort();
    await Promise.allSettled([client.close(), aborted]);
    expect(link.written()[0]?.[3]?.toString()).toBe('mmi.cancel');
  });

  it('takes back a stream whose loop is left', async () => {
    const { client, net } = clientOf(OFFERS);
    const stream = client.stream('count', '');
    const first = stream.next();
    const [id = ''] = net.link.written()[0] ?? [];
    net.link.says(id, '', 'MDPC02', '\x02', 'count', '0');
    expect((await first).value?.text()).toBe('0');
    await stream.return?.();
    await turn();
    expect(net.link.written()[0]?.[3]?.toString()).toBe('mmi.cancel');
  });

  it('takes back what was aborted before the broker said that it can, at most 100 of it', async () => {
    const { client, net } = clientOf('');
    const abort = new AbortController();
    const { signal } = abort;
    const all = Array.from({ length: 101 }, () => client.request('echo', 'a', { signal }));
    abort.abort();
    await Promise.allSettled(all);
    const sent = net.link.written().map(([id]) => id?.toString('hex'));
    saysFacts(net, OFFERS);
    const [cancel, ...others] = net.link.written();
    expect(others).toEqual([]);
    expect(cancel?.slice(4).map((id) => id.toString('hex'))).toEqual(sent.slice(0, 100));
  });

  it.each([
    ['before', true],
    ['after', false],
  ])(
    'says nothing to a broker that does not know it, aborted %s it said so',
    async (_, isEarly) => {
      const { client, net } = clientOf(isEarly ? '' : '{}');
      const abort = new AbortController();
      const aborted = client.request('echo', 'a', { signal: abort.signal });
      net.link.written();
      abort.abort();
      await expect(aborted).rejects.toMatchObject({ code: 'ERR_MDP_ABORTED' });
      if (isEarly) saysFacts(net, '{}');
      await turn();
      expect(net.link.written()).toEqual([]);
    },
  );
});

function workerOf(handler: Handler, options: Partial<WorkerOptions> = {}): Made {
  process.emitWarning = (warning: string | Error): void => {
    warnings.push(String(warning));
  };
  const net = new FakeNet();
  const worker = new Worker(
    { endpoints: ENDPOINT, service: 'echo', name: '', dial: net.dial, concurrency: 2, ...options },
    handler,
  );
  closing.push(() => worker.close({ graceMs: 0 }));
  void worker.run();
  net.link.events.connected();
  net.link.says('', 'MDPC02', '\x03', 'mmi.broker', '200', OFFERS);
  net.link.written();
  return { worker, net };
}

interface Made {
  readonly worker: Worker;
  readonly net: FakeNet;
}

/** What it sent about requests. */
function ends(net: FakeNet): string[] {
  const [READY, BEAT] = ['\x01', '\x05'];
  const written = net.link.written().filter(([, command]) => {
    const code = command?.toString() ?? '';
    return code !== READY && code !== BEAT;
  });
  return shown(written);
}

function asks(net: FakeNet, token: string): void {
  net.link.says('MDPW02', '\x02', token, '', 'hi');
}

function cancels(net: FakeNet, token: string): void {
  net.link.says('MDPW02', '\x0a', token, '');
}

describe('a worker', () => {
  it('asks for it, and aborts the signal of the handler, whose end is no failure', async () => {
    let context: HandlerContext | null = null;
    const { worker, net } = workerOf((_, given) => {
      context = given;
      return new Promise((_resolve, reject) => {
        given.signal.addEventListener('abort', () => reject(given.signal.reason as Error));
      });
    });
    asks(net, 't1');
    asks(net, 't2');
    cancels(net, 't1');
    cancels(net, 't1');
    cancels(net, 'unknown');
    await turn();
    expect(ends(net)).toEqual(['MDPW02|\\x07|t1||cancelled']);
    expect(worker.counters).toMatchObject({ cancelled: 1, failed: 0, answered: 0 });
    expect(worker.running).toBe(1);
    expect(warnings).toEqual([]);
    expect(context).not.toBeNull();
  });

  it('takes what a handler throws when its worker gives up for its end, not for a failure', async () => {
    let fail = (): void => undefined;
    const { worker, net } = workerOf(
      () =>
        new Promise((_, reject) => {
          fail = reject;
        }),
    );
    asks(net, 't1');
    await worker.close({ graceMs: 0 });
    fail();
    while (worker.running > 0) await pause(1);
    expect(worker.counters).toMatchObject({ cancelled: 1, failed: 0, answered: 0 });
    expect(warnings).toEqual([]);
  });

  it('takes what a handler throws after its deadline for its end, not for a failure', async () => {
    const { worker, net } = workerOf(async ({ signal }) => {
      while (!signal.aborted) await pause(1);
      throw new Error('in vain');
    });
    let failed = 0;
    worker.on('failed', () => failed++);
    net.link.says('MDPW02', '\x09', 't1', '', '1', '{}', 'hi');
    while (worker.running > 0) await pause(1);
    expect(ends(net)).toEqual(['MDPW02|\\x07|t1||cancelled']);
    expect(worker.counters).toMatchObject({ cancelled: 1, failed: 0, answered: 0 });
    expect(failed).toBe(0);
    expect(warnings).toEqual([]);
  });

  it('looks through what runs once for all that are cancelled together', async () => {
    const count = 1000;
    const aborted: string[] = [];
    const { worker, net } = workerOf(
      (request) => {
        request.signal.addEventListener('abort', () => {
          aborted.push(request.text());
        });
        return new Promise(() => undefined);
      },
      { concurrency: count + 1 },
    );
    let looks = 0;
    const client = Object.getOwnPropertyDescriptor(Task.prototype, 'client') ?? {};
    Object.defineProperty(Task.prototype, 'client', {
      ...client,
      get(this: Task): unknown {
        looks++;
        return client.get?.call(this) as unknown;
      },
    });
    for (let each = 0; each < count; each++) asks(net, `t${each}`);
    for (let each = 0; each < count; each++) cancels(net, `t${each}`);
    asks(net, 'later');
    cancels(net, 'later');
    Object.defineProperty(Task.prototype, 'client', client);
    expect(aborted).toHaveLength(count + 1);
    expect(looks).toBeLessThan(3 * count);
    expect(worker.counters.cancelled).toBe(count + 1);
    await turn();
  });

  it('tells apart what two brokers call by the same token', () => {
    const aborted: string[] = [];
    const { net } = workerOf(
      (request) => {
        request.signal.addEventListener('abort', () => {
          aborted.push(request.text());
        });
        return new Promise(() => undefined);
      },
      { endpoints: [ENDPOINT, 'tcp://b:1'], concurrency: 4, cancelGraceMs: 60_000 },
    );
    const [first, second] = net.links;
    first?.events.connected();
    first?.says('', 'MDPC02', '\x03', 'mmi.broker', '200', OFFERS);
    for (const [link, body] of [[first, 'first'] as const, [second, 'second'] as const]) {
      for (const token of ['t1', 't2']) link?.says('MDPW02', '\x02', token, '', `${body} ${token}`);
    }
    // By a search, and by the map that the second of a turn is looked up in.
    second?.says('MDPW02', '\x0a', 't1', '');
    first?.says('MDPW02', '\x0a', 't2', '');
    expect(aborted).toEqual(['second t1', 'first t2']);
  });

  it('drops what the handler answers, and tells a generator at its next part', async () => {
    const thrown: unknown[] = [];
    let goOn = (): void => undefined;
    const { worker, net } = workerOf(async function* () {
      yield 'first';
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      try {
        yield 'second';
      } catch (error) {
        thrown.push(error);
      }
      return 'whole';
    });
    asks(net, 't1');
    await turn();
    cancels(net, 't1');
    goOn();
    while (worker.running > 0) await turn();
    expect(ends(net)).toEqual(['MDPW02|\\x03|t1||first', 'MDPW02|\\x07|t1||cancelled']);
    expect(thrown).toMatchObject([{ code: 'ERR_MDP_ABORTED' }]);
  });

  it('gives the place of a handler that goes on to another request, and says so', async () => {
    let goOn = (): void => undefined;
    const bodies: string[] = [];
    const { worker, net } = workerOf(
      (request) => {
        bodies.push(request.text());
        if (bodies.length > 1) return 'second';
        return new Promise((resolve) => {
          goOn = () => resolve('late');
        });
      },
      { concurrency: 2, cancelGraceMs: 0 },
    );
    asks(net, 't1');
    cancels(net, 't1');
    while (worker.running > 0) await pause(1);
    expect(warnings).toEqual([
      "a handler of 'echo' goes on 0 ms after its request was cancelled: its place is given to another",
    ]);
    asks(net, 't2');
    await turn();
    goOn();
    await turn();
    expect(ends(net)).toEqual(['MDPW02|\\x07|t1||cancelled', 'MDPW02|\\x04|t2||second']);
    expect(worker.counters).toMatchObject({ cancelled: 1, answered: 1 });
  });

  it('says nothing of a handler that goes on once its worker is closed', async () => {
    const { worker, net } = workerOf(() => new Promise(() => undefined), { cancelGraceMs: 20 });
    asks(net, 't1');
    cancels(net, 't1');
    await worker.close({ graceMs: 0 });
    await pause(40);
    expect(warnings).toEqual([]);
  });

  it('lets no more handlers go on without a place than it has places, also for services that share them', async () => {
    const never = (): Promise<string> => new Promise(() => undefined);
    process.emitWarning = (warning: string | Error): void => {
      warnings.push(String(warning));
    };
    const net = new FakeNet();
    const worker = new Worker({
      ...{ endpoints: ENDPOINT, name: '', dial: net.dial, concurrency: 2, cancelGraceMs: 0 },
      services: { a: never, b: never },
    });
    closing.push(() => worker.close({ graceMs: 0 }));
    void worker.run();
    for (const link of net.links) {
      link.events.connected();
      link.says('', 'MDPC02', '\x03', 'mmi.broker', '200', OFFERS);
    }
    const [link] = net.links;
    for (const token of ['t1', 't2', 't3']) {
      link?.says('MDPW02', '\x02', token, '', 'hi');
      link?.says('MDPW02', '\x0a', token, '');
      await pause(5);
    }
    expect(worker.running).toBe(1);
    expect(worker.counters.cancelled).toBe(3);
  });
});
