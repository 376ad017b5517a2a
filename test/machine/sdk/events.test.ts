/** Events of clients and workers: who hears them, and what is printed if nobody does. */
import { ServiceError } from '../../../src/sdk/service-error.js';
import { setImmediate as turn } from 'node:timers/promises';

import { Client, type ClientOptions } from '../../../src/sdk/client.js';
import type { Handler } from '../../../src/sdk/worker/handler.js';
import {
  type ConnectionOwner,
  WorkerConnection,
} from '../../../src/sdk/worker/worker-connection.js';
import { warnLost } from '../../../src/sdk/worker/worker-events.js';
import { workerSettings } from '../../../src/sdk/worker/worker-options.js';
import { Worker, type WorkerOptions } from '../../../src/sdk/worker.js';
import { until } from '../../support/until.js';
import { FakeNet, shown } from './fake-dial.js';
import { PirateScript } from './pirate-script.js';

const A = 'tcp://a:1';
const B = 'tcp://b:2';
const BROKER = ['', 'MDPC02', '\x03', 'mmi.broker', '200'] as const;

let warnings: string[] = [];
let details: (string | undefined)[] = [];
const emitWarning = process.emitWarning.bind(process);
const closing: (() => Promise<void>)[] = [];

beforeEach(() => {
  warnings = [];
  details = [];
  process.emitWarning = (warning: string | Error, options?: unknown): void => {
    const { code = '', detail } = (options ?? {}) as { code?: string; detail?: string };
    warnings.push(`${code}: ${String(warning)}`);
    details.push(detail);
  };
});

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
  process.emitWarning = emitWarning;
});

function clientOf(options: ClientOptions = {}): { client: Client; net: FakeNet; heard: unknown[] } {
  const net = new FakeNet();
  const client = new Client({ endpoints: [A, B], dial: net.dial, ...options });
  closing.push(() => client.close());
  const heard: unknown[] = [];
  for (const name of ['connected', 'switched', 'refused'] as const) {
    client.on(name, (event) => heard.push([name, event]));
  }
  return { client, net, heard };
}

interface Made {
  readonly worker: Worker;
  readonly net: FakeNet;
}

function workerOf(options: Partial<WorkerOptions> = {}, handler: Handler = () => 'x'): Made {
  const net = new FakeNet();
  const worker = new Worker(
    { endpoints: A, service: 'echo', name: '', dial: net.dial, ...options },
    handler,
  );
  closing.push(() => worker.close({ graceMs: 0 }));
  return { worker, net };
}

/** A worker that the broker has confirmed. */
function registered(options: Partial<WorkerOptions> = {}, handler?: Handler): Made {
  const made = workerOf(options, handler);
  void made.worker.run();
  made.net.link.joins();
  made.net.link.says('MDPW02', '\x05');
  return made;
}

function listen(worker: Worker): unknown[] {
  const heard: unknown[] = [];
  for (const name of ['registered', 'lost', 'failed', 'drained'] as const) {
    worker.on(name, (event) => heard.push([name, event]));
  }
  return heard;
}

describe('a client tells', () => {
  it('that it is connected, each time, and where', () => {
    const { client, net, heard } = clientOf();
    expect(client.endpoint).toBeNull();
    net.link.events.connected();
    expect(heard).toEqual([['connected', { endpoint: A }]]);
    expect(client.endpoint).toBe(A);
    net.link.events.disconnected();
    expect(client.endpoint).toBeNull();
  });

  it('that a broker refused, and that it goes to the other node', async () => {
    const { client, net, heard } = clientOf({ timeoutMs: 1000 });
    net.link.events.connected();
    net.link.written();
    const answer = client.request('echo', 'hi');
    answer.catch(() => undefined);
    const id = net.link.written()[0]?.[0] ?? '';
    net.link.says(id, '', 'MDPC02', '\x03', 'mmi.refused', '503', 'echo', 'not active');
    // Where a listener may abort requests and close the client: after the client has moved.
    expect(heard).toHaveLength(2);
    await Promise.resolve();
    expect(heard.slice(1)).toEqual([
      ['refused', { endpoint: A, service: 'echo', status: '503', reason: 'not active' }],
      ['switched', { from: A, to: B, reason: 'refused' }],
    ]);
    net.link.events.unreachable?.(true, 'no');
    const reason = 'the broker does not admit this key';
    expect(heard).toContainEqual([
      'refused',
      { endpoint: B, service: null, status: 'key', reason },
    ]);
    expect(warnings).toEqual([]);
  });

  it('why no endpoint accepted a connection, in the error of a request', async () => {
    const { client, net } = clientOf({ timeoutMs: 20 });
    const failing = client.request('echo', 'hi').catch((error: unknown) => error);
    net.link.events.unreachable?.(false, 'connection refused');
    net.link.events.unreachable?.(false, 'name not found');
    expect(await failing).toMatchObject({
      code: 'ERR_MDP_UNREACHABLE',
      message: `no endpoint accepted a connection for the request to 'echo': ${A}: connection refused; ${B}: name not found`,
      cause: {
        errors: [
          { message: `${A}: connection refused`, details: { endpoint: A } },
          { message: `${B}: name not found`, details: { endpoint: B } },
        ],
      },
    });
  });

  it('why it leaves an endpoint', () => {
    const silent = new PirateScript({ endpoints: 2 });
    silent.connect().ask('r').pass(1000);
    expect(silent.switches).toEqual(['0 to 1: silent']);
    const alone = new PirateScript({ endpoints: 1 });
    alone.connect().ask('r').pass(1000);
    expect(alone.switches).toEqual([]);
    const bare = new PirateScript({ endpoints: 2, bare: true });
    bare.ask('r').pass(1000);
    expect(bare.switches).toEqual(['0 to 1: unreachable']);
  });

  it('nothing to listeners that were taken off', () => {
    const { client, net } = clientOf();
    const heard: unknown[] = [];
    const listener = (): void => {
      heard.push(1);
    };
    client.on('connected', listener).on('connected', listener);
    net.link.events.connected();
    client.off('connected', listener);
    net.link.events.connected();
    expect(heard).toEqual([1]);
  });
});

describe('a worker tells', () => {
  it('that it is registered when the broker has confirmed it, and that it lost that', async () => {
    const { worker, net } = workerOf();
    const heard = listen(worker);
    const ready = worker.ready;
    net.link.events.connected();
    // It asks first what the broker knows; the answer to the second question comes after READY.
    net.link.says(...BROKER, '{"extensions":["fail"]}');
    expect(heard).toEqual([]);
    expect(shown(net.link.written())).toEqual([
      'MDPC02|\\x01|mmi.broker|',
      'MDPW02|\\x01|echo',
      'MDPC02|\\x01|mmi.broker|',
    ]);
    net.link.says(...BROKER, '{"extensions":["fail"]}');
    await ready;
    const at = { service: 'echo', endpoint: A };
    expect(heard).toEqual([['registered', at]]);
    expect(worker.registrations).toEqual([at]);
    net.link.events.disconnected();
    expect(heard.slice(1)).toEqual([['lost', { ...at, reason: 'connection' }]]);
    expect(worker.registrations).toEqual([]);
    expect(warnings).toEqual([]);
  });

  it('ready: once every service is registered, with any of the brokers', async () => {
    const net = new FakeNet();
    const services = { one: () => '1', two: () => '2' };
    const worker = new Worker({ endpoints: [A, B], services, dial: net.dial, name: '' });
    closing.push(() => worker.close());
    let isReady = false;
    void worker.ready.then(() => {
      isReady = true;
    });
    for (const index of [0, 1]) {
      net.links[index]?.joins();
      net.links[index]?.says('MDPW02', '\x05');
      await turn();
      expect(isReady).toBe(false);
    }
    net.links[3]?.joins();
    net.links[3]?.says('MDPW02', '\x05');
    await turn();
    expect(isReady).toBe(true);
  });

  it('ready: that it was closed before', async () => {
    const { worker } = workerOf();
    const ready = worker.ready;
    await Promise.all([
      expect(ready).rejects.toMatchObject({ code: 'ERR_MDP_CLOSED' }),
      worker.close(),
    ]);
  });

  it('what its handlers threw, and for which request', async () => {
    const error = new Error('no');
    const { worker, net } = registered({}, () => {
      throw error;
    });
    const heard = listen(worker);
    net.link.says('MDPW02', '\x02', 'token', '', 'hi');
    await turn();
    expect(heard).toEqual([
      ['failed', { error, service: 'echo', request: expect.objectContaining({ service: 'echo' }) }],
    ]);
    expect(warnings).toEqual([]);
  });

  it('that it has drained, and what it gave back', async () => {
    const { worker, net } = registered({}, () => new Promise(() => undefined));
    const heard = listen(worker);
    net.link.says('MDPW02', '\x02', 'token', '', 'hi');
    await worker.close({ graceMs: 1 });
    expect(heard).toEqual([['drained', { abandoned: 1 }]]);
    const idle = registered();
    const idleHeard = listen(idle.worker);
    await idle.worker.close();
    expect(idleHeard).toEqual([['drained', { abandoned: 0 }]]);
  });

  it('that it has drained, when the answers are sent that waited for a broker, or how many were not', async () => {
    for (const isBack of [true, false]) {
      const { worker, net } = registered({ retryBaseMs: 1, retryMaxMs: 1 });
      const heard: unknown[] = [];
      worker.on('drained', (event) => heard.push(event));
      net.link.says('MDPW02', '\x02', 'token', '', 'hi');
      net.link.events.disconnected();
      while (net.links.length < 2) await turn();
      const closed = worker.close({ graceMs: isBack ? 60_000 : 1 });
      if (isBack) {
        await turn();
        expect(heard).toEqual([]);
        net.link.events.connected();
      }
      await closed;
      expect(heard).toEqual([{ abandoned: isBack ? 0 : 1 }]);
      expect(shown(net.link.written())).toEqual(isBack ? ['MDPW02|\\x04|token||x'] : []);
    }
  });
});

describe('what goes wrong is printed once if nobody listens', () => {
  it('a failed request', async () => {
    const { net } = registered({}, () => {
      throw new Error('no');
    });
    net.link.says('MDPW02', '\x02', 'token', '', 'hi');
    await turn();
    expect(warnings).toEqual(["MDP_HANDLER_FAILED: a handler of 'echo' failed: Error: no"]);
  });

  it('with the lines of the program that threw the error, and its cause; of a ServiceError none', async () => {
    const errors = [
      new Error('no', { cause: new TypeError('on\x1bly') }),
      new ServiceError('empty', 'nothing to do'),
      Object.assign(new RangeError(), { stack: 7 }),
    ];
    for (const error of errors) {
      const { net } = registered({}, () => {
        throw error;
      });
      net.link.says('MDPW02', '\x02', 'token', '', 'hi');
      await turn();
    }
    expect(details[0]).toMatch(/^ +at .*events\.test\.[jt]s:\d+:\d+/);
    expect(details[0]).toMatch(/\ncaused by: on\uFFFDly\n +at .*events\.test/);
    expect(details[0]).not.toContain('node:internal');
    expect(details.slice(1)).toEqual(['', '']);
  });

  it('a lost registration, until it is registered again', async () => {
    const { net } = registered({ retryBaseMs: 1, retryMaxMs: 1 });
    const line = `MDP_WORKER_LOST: 'echo' is not registered at ${A}: the connection was lost; trying again`;
    net.link.events.disconnected();
    expect(warnings).toEqual([line]);
    for (let count = 0; count < 3; count++) {
      while (net.links.length < count + 2) await turn();
      net.link.joins();
      net.link.says('MDPW02', '\x06');
      net.link.events.disconnected();
    }
    expect(warnings).toEqual([line]);
    while (net.links.length < 5) await turn();
    net.link.joins();
    net.link.says('MDPW02', '\x05');
    net.link.events.disconnected();
    expect(warnings).toEqual([line, line]);
  });

  it('a registration that is lost because a handler kept the process from sending heartbeats', () => {
    const { net } = registered({ heartbeatIntervalMs: 100 }, () => {
      const until = performance.now() + 400;
      while (performance.now() < until);
      return 'x';
    });
    net.link.says('MDPW02', '\x02', 'token', '', 'hi');
    net.link.says('MDPW02', '\x06');
    expect(warnings[0]).toMatch(
      /^MDP_WORKER_LOST: 'echo' is not registered at .*: your process stood still for \d{3,} ms, /,
    );
  });

  it('a handler that stood still after a pause: its answer goes over the next connection', async () => {
    const { net } = registered({ heartbeatIntervalMs: 100, retryBaseMs: 1 }, async () => {
      await turn();
      const until = performance.now() + 400;
      while (performance.now() < until);
      // What the broker did meanwhile is read now.
      setImmediate(() => net.link.events.disconnected());
      return 'x';
    });
    net.link.says('MDPW02', '\x02', 'token', '', 'hi');
    while (net.links.length < 2) await turn();
    net.link.joins();
    expect(warnings[0]).toMatch(/^MDP_WORKER_LOST: .*your process stood still for \d{3,} ms/);
    expect(shown(net.links[0]?.written() ?? []).filter((line) => line.endsWith('|x'))).toEqual([]);
    // (The process is late, so the connection may be there before the answer.)
    const answers: string[] = [];
    await until(() => {
      answers.push(...shown(net.link.written()).filter((line) => line.endsWith('|x')));
      return answers.length > 0;
    }, 'the answer');
    expect(answers).toEqual(['MDPW02|\\x04|token||x']);
  });

  it('a worker that the broker never accepts, or whose key it does not admit', () => {
    const dismissed = workerOf();
    void dismissed.worker.run();
    dismissed.net.link.joins();
    dismissed.net.link.says('MDPW02', '\x06');
    const refused = workerOf();
    void refused.worker.run();
    refused.net.link.events.unreachable?.(false, 'no');
    expect(warnings).toHaveLength(1);
    refused.net.link.events.unreachable?.(true, 'no');
    refused.net.link.events.unreachable?.(true, 'no');
    expect(warnings).toEqual([
      expect.stringContaining('the broker does not accept the worker'),
      expect.stringContaining('the broker does not admit the key'),
    ]);
  });

  it('a worker that no broker has answered within three seconds', () => {
    const given = { endpoints: A, service: 'echo', heartbeatIntervalMs: 1000 };
    const settings = workerSettings({ ...given, dial: new FakeNet().dial }, () => 'x');
    // Nothing else is asked of the worker until a broker is there.
    const owner: Partial<ConnectionOwner> = { settings, dial: settings.dial, lost: warnLost };
    for (const offered of settings.services) {
      const connection = new WorkerConnection(A, offered, owner as ConnectionOwner);
      connection.start(0);
      connection.tick(2999);
      expect(warnings).toEqual([]);
      for (const now of [3000, 3001, 60_000]) connection.tick(now);
    }
    expect(warnings).toEqual([
      `MDP_WORKER_LOST: 'echo' is not registered at ${A}: no broker answers; trying again`,
    ]);
  });

  it('a connection that is lost while the worker has no registration, after it gave a request back', async () => {
    const { net } = registered({}, () => {
      throw new Error('no');
    });
    net.link.says('MDPW02', '\x02', 'token', '', 'hi');
    await turn();
    warnings = [];
    // It has said DISCONNECT, because the broker does not know failures, and rests.
    expect(shown(net.link.written()).at(-1)).toBe('MDPW02|\\x06');
    net.link.events.disconnected();
    expect(warnings).toEqual([expect.stringContaining('the connection was lost')]);
  });

  it('a key that is no longer admitted, though the registration was lost before', async () => {
    const { net } = registered({ retryBaseMs: 1, retryMaxMs: 1 });
    net.link.events.disconnected();
    while (net.links.length < 2) await turn();
    for (let count = 0; count < 2; count++) net.link.events.unreachable?.(true, 'no');
    expect(warnings).toEqual([
      expect.stringContaining('the connection was lost'),
      expect.stringContaining('the broker does not admit the key'),
    ]);
  });

  it('not a registration that the worker ends itself', async () => {
    const { worker } = registered();
    await worker.close();
    expect(warnings).toEqual([]);
  });
});

function unreadable(): never {
  throw new Error('unreadable');
}

describe('bad listeners', () => {
  it('an event that does not exist, and a listener that is none: ERR_MDP_OPTION', () => {
    const { client } = clientOf();
    const { worker } = workerOf();
    const option = { code: 'ERR_MDP_OPTION', details: { option: 'event' } };
    expect(() => client.on('conected' as 'connected', () => undefined)).toThrow(
      expect.objectContaining(option),
    );
    expect(() => worker.off('error' as 'failed', () => undefined)).toThrow(
      expect.objectContaining(option),
    );
    expect(() => worker.on('failed', 'log' as never)).toThrow(
      expect.objectContaining({ details: { option: 'listener' } }),
    );
  });

  it('one that throws disturbs nobody, and is printed', async () => {
    const { worker, net } = registered({}, () => {
      throw new Error('no');
    });
    const heard: unknown[] = [];
    worker.on('failed', () => {
      throw new Error('slip');
    });
    worker.on('failed', () => {
      throw new Proxy(new Error('it cannot be read'), { get: unreadable, has: unreadable });
    });
    worker.on('failed', ({ service }) => heard.push(service));
    net.link.says('MDPW02', '\x02', 'token', '', 'hi');
    await turn();
    expect(heard).toEqual(['echo']);
    const warning = "MDP_LISTENER_FAILED: a listener of 'failed' threw an error: ";
    expect(warnings).toEqual([`${warning}slip`, warning]);
  });
});
