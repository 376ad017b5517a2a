import { codeOf } from '../../../src/core/errors.js';
import { Client, type ClientOptions, type SubmitOptions } from '../../../src/sdk/client.js';
import { Exchange } from '../../../src/sdk/client/exchange.js';
import { JOB_ROWS } from '../../../src/wire/job-option-table.js';
import { valuesOf } from '../../support/job-options.js';
import { FakeNet } from './fake-dial.js';
import { until } from '../../support/until.js';

const UUID = '0123456789ABCDEF0123456789ABCDEF';
const clients: Client[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

interface Asked {
  readonly service: string;
  readonly body: string[];
  answer(...body: string[]): void;
}

/** A client at a broker that is played by the test, and the requests that it gets. */
class Stage {
  readonly net = new FakeNet();
  readonly client: Client;

  /** @param extensions of mmi.broker; null: it does not know the question; silent: it does not answer it */
  constructor(
    extensions: readonly string[] | null | 'silent',
    options: Partial<ClientOptions> = {},
  ) {
    const endpoints = ['tcp://127.0.0.1:5555'];
    this.client = new Client({ endpoints, dial: this.net.dial, ...options });
    clients.push(this.client);
    this.net.link.events.connected();
    const [, probe] = this.requests();
    if (extensions === 'silent') return;
    probe?.answer(...(extensions === null ? ['501'] : ['200', JSON.stringify({ extensions })]));
  }

  requests(): Asked[] {
    const { link } = this.net;
    return link.written().map((frames) => {
      const header = frames.findIndex((frame) => frame.toString() === 'MDPC02');
      const service = String(frames[header + 2]);
      return {
        service,
        body: frames.slice(header + 3).map(String),
        answer: (...body) => {
          link.says(...frames.slice(0, header), 'MDPC02', '\x03', service, ...body);
        },
      };
    });
  }

  /** The only request since the last call, once the client has come to it. */
  async request(): Promise<Asked> {
    for (let turn = 0; turn < 100; turn++) {
      const [asked, ...more] = this.requests();
      if (more.length > 0) throw new Error('more than one request');
      if (asked !== undefined) return asked;
      await new Promise((resolve) => setImmediate(resolve));
    }
    throw new Error('no request came');
  }
}

const OURS = ['credit', 'hello', 'submit', 'wait', 'backoff', 'group'];

async function codeFrom(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
    return 'resolved';
  } catch (error) {
    return codeOf(error);
  }
}

function options(asked: Asked): Record<string, unknown> {
  return JSON.parse(asked.body[0] ?? '') as Record<string, unknown>;
}

describe('enqueue where titanic.submit is offered (D16)', () => {
  it('sends its options, the service and the body, and gives a job', async () => {
    const stage = new Stage(OURS);
    const chosen = Object.fromEntries(JOB_ROWS.map((row) => [row.name, valuesOf(row).good[0]]));
    const given = { idempotencyKey: 'order-17', ...chosen };
    const submitted = stage.client.enqueue('render', ['a', 'b'], given);
    const asked = await stage.request();
    expect([asked.service, ...asked.body.slice(1)]).toEqual(['titanic.submit', 'render', 'a', 'b']);
    expect(options(asked)).toEqual({ key: 'order-17', ...chosen });
    asked.answer('200', UUID);
    expect(await submitted).toMatchObject({ uuid: UUID, service: 'render' });
  });

  it('is called submit, too', async () => {
    const stage = new Stage(OURS);
    const submitted = stage.client.submit('render', 'a');
    const asked = await stage.request();
    expect(asked.service).toBe('titanic.submit');
    asked.answer('200', UUID);
    expect(await submitted).toMatchObject({ uuid: UUID, service: 'render' });
  });

  it('makes a key of its own, the same in each send of a request and new for the next', async () => {
    const stage = new Stage(OURS);
    const first = stage.client.enqueue('render', 'a');
    const before = await stage.request();
    stage.net.link.events.disconnected();
    await until(() => stage.net.links.length === 2, 'a second connection');
    stage.net.link.events.connected();
    const again = stage.requests().find(({ service }) => service === 'titanic.submit');
    expect(again?.body).toEqual(before.body);
    again?.answer('200 OK', UUID);
    await first;
    const second = stage.client.enqueue('render', 'a');
    const other = await stage.request();
    expect(Object.keys(options(other))).toEqual(['key']);
    expect(options(other)['key']).not.toBe(options(before)['key']);
    other.answer('200', UUID);
    await second;
  });

  it.each<[string[], Record<string, unknown>]>([
    [['500 titanic.maxOpen is reached'], { status: 500, text: 'titanic.maxOpen is reached' }],
    [['400 no body'], { status: 400, text: 'no body' }],
    [['501'], { status: 501, text: '' }],
    [['200'], { status: 200, text: 'without a uuid' }],
    [['200', 'no uuid'], { status: 200, text: 'without a uuid' }],
    [['what'], { status: 0 }],
  ])('an answer %j is ERR_TITANIC_REFUSED with status and text', async (answer, details) => {
    const stage = new Stage(OURS);
    const submitted = stage.client.enqueue('render', 'a');
    (await stage.request()).answer(...answer);
    await expect(submitted).rejects.toMatchObject({ code: 'ERR_TITANIC_REFUSED', details });
  });

  it('gives up when its signal aborts, and when the client is closed', async () => {
    const stage = new Stage(OURS);
    const controller = new AbortController();
    const { signal } = controller;
    const aborted = codeFrom(stage.client.submit('render', 'a', { signal }));
    const closed = codeFrom(stage.client.enqueue('render', 'a'));
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    expect(await aborted).toBe('ERR_MDP_ABORTED');
    await stage.client.close();
    expect(await closed).toBe('ERR_MDP_CLOSED');
  });

  it.each<[unknown, string]>([
    [{ idempotencyKey: '' }, 'idempotencyKey'],
    [{ idempotencyKey: 'x'.repeat(256) }, 'idempotencyKey'],
    [{ idempotencyKey: '\ud800' }, 'idempotencyKey'],
    ...JOB_ROWS.flatMap((row) =>
      valuesOf(row).wrong.map((value): [unknown, string] => [
        { [row.name]: value },
        `${row.name} must be ${row.what}`,
      ]),
    ),
    [{ key: 'x' }, 'key'],
  ])('%j is ERR_MDP_OPTION, and nothing is sent', async (given, named) => {
    const stage = new Stage(OURS);
    const submitted = stage.client.submit('render', 'a', given as SubmitOptions);
    await expect(submitted).rejects.toMatchObject({
      code: 'ERR_MDP_OPTION',
      message: expect.stringContaining(named),
    });
    expect(stage.requests()).toEqual([]);
  });
});

describe('headers of a stored request that look like an option', () => {
  it.each([
    ['webhook', 'webhook'],
    ['Web-Hook', 'webhook'],
    ['ttlMs', 'ttlMs'],
    ['ttl-ms', 'ttlMs'],
    ['DELAY_MS', 'delayMs'],
    ['max-attempts', 'maxAttempts'],
    ['idempotency-key', 'idempotencyKey'],
    ['timeout-ms', 'timeoutMs'],
    ['time-zone', 'timeZone'],
  ])('%s is refused, which names the option %s; nothing is sent', async (name, option) => {
    const stage = new Stage(OURS);
    const headers = { [name]: 'x' };
    for (const asked of [
      stage.client.enqueue('render', 'a', { headers }),
      stage.client.submit('render', 'a', { headers }),
      stage.client.schedule('n', 'render', 'a', { cron: '@daily', headers }),
    ]) {
      await expect(asked).rejects.toMatchObject({
        code: 'ERR_MDP_OPTION',
        message: `headers have one that looks like the option ${option}: use the option`,
        details: { option: 'headers' },
      });
    }
    expect(stage.requests()).toEqual([]);
  });
});

describe('enqueue while no broker can be reached', () => {
  it('goes on until the end of its time, and stores when one is there', async () => {
    const net = new FakeNet();
    const endpoints = ['tcp://127.0.0.1:5555'];
    const client = new Client({ endpoints, dial: net.dial, timeoutMs: 6000, resendMs: 1 });
    clients.push(client);
    const begun = jest.spyOn(Exchange.prototype, 'begin');
    const submitted = client.enqueue('render', 'a');
    // The first question is over after 2 ms.
    await until(() => begun.mock.calls.length >= 3, 'two further questions');
    begun.mockRestore();
    net.link.events.connected();
    const offers = JSON.stringify({ extensions: OURS });
    const answer = (): void => {
      for (const frames of net.link.written()) {
        const texts = frames.map(String);
        const id = frames[0] ?? '';
        if (texts.includes('mmi.broker')) {
          net.link.says(id, '', 'MDPC02', '\x03', 'mmi.broker', '200', offers);
        }
        if (texts.includes('titanic.submit')) {
          net.link.says(id, '', 'MDPC02', '\x03', 'titanic.submit', '200', UUID);
        }
      }
    };
    const looking = setInterval(answer, 1);
    expect((await submitted).uuid).toBe(UUID);
    clearInterval(looking);
  });
});

describe('enqueue at a broker without titanic.submit (9/TSP)', () => {
  it.each([[null], [['credit']]])('sends titanic.request, once (%j)', async (extensions) => {
    const stage = new Stage(extensions, { resendMs: 20, timeoutMs: 60 });
    const submitted = stage.client.submit('render', ['a', '']);
    const asked = await stage.request();
    expect([asked.service, ...asked.body]).toEqual(['titanic.request', 'render', 'a', '']);
    await expect(submitted).rejects.toMatchObject({
      code: 'ERR_MDP_TIMEOUT',
      details: { sends: 1 },
    });
  });

  it.each([
    ['backoff', { baseMs: 1, maxMs: 2 }],
    ['group', 'tenant-7'],
  ])('does not pretend that it keeps what is not offered: %s', async (name, value) => {
    const stage = new Stage(['credit', 'submit', 'wait']);
    const options = { [name]: value };
    const enqueued = stage.client.enqueue('render', 'a', options);
    await expect(enqueued).rejects.toMatchObject({
      code: 'ERR_TITANIC_UNSUPPORTED',
      message: `this broker does not support the option ${name}`,
    });
    expect(stage.requests()).toEqual([]);
  });

  it('does not pretend that it keeps a key, a priority or a time', async () => {
    const stage = new Stage(['credit']);
    const submitted = stage.client.submit('render', 'a', { idempotencyKey: 'order-17' });
    expect(await codeFrom(submitted)).toBe('ERR_TITANIC_UNSUPPORTED');
    expect(stage.requests()).toEqual([]);
  });
});

describe('enqueue at a broker that does not answer mmi.broker', () => {
  const QUICK = { timeoutMs: 400, resendMs: 200 };

  it('waits for that once on a connection, then stores by titanic.request', async () => {
    const stage = new Stage('silent', QUICK);
    const submitted = stage.client.enqueue('render', 'a');
    expect((await stage.request()).service).toBe('mmi.broker');
    await until(() => stage.net.links.length === 2, 'a new connection after the silence');
    await until(() => stage.client.outstanding === 1, 'the next request');
    stage.net.link.events.connected();
    const asked = stage.requests();
    const services = asked.map(({ service }) => service);
    expect(services).toEqual(['mmi.hello', 'mmi.broker', 'titanic.request']);
    asked[2]?.answer('200', UUID);
    await submitted;

    const again = stage.client.enqueue('render', 'a');
    const next = await stage.request();
    expect(next.service).toBe('titanic.request');
    next.answer('200', UUID);
    await again;
    // With an option there is nothing to store by, and nothing to wait for.
    await expect(stage.client.enqueue('render', 'a', { priority: 1 })).rejects.toMatchObject({
      code: 'ERR_TITANIC_UNSUPPORTED',
      message: expect.stringContaining('does not say whether it supports titanic.submit'),
    });

    stage.net.link.events.disconnected();
    await until(() => stage.net.links.length === 3, 'a third connection');
    stage.net.link.events.connected();
    stage.requests();
    const third = codeFrom(stage.client.enqueue('render', 'a', { priority: 1 }));
    expect((await stage.request()).service).toBe('mmi.broker');
    expect(await third).toBe('ERR_MDP_TIMEOUT');
  });
});

describe('a job', () => {
  it('is found again by its uuid, whose case it keeps', () => {
    const { client } = new Stage(OURS);
    expect(client.job(UUID.toLowerCase())).toMatchObject({ uuid: UUID.toLowerCase() });
    for (const wrong of ['', 'X'.repeat(32), `${UUID}0`, `${UUID}\n`]) {
      expect(() => client.job(wrong)).toThrow(expect.objectContaining({ code: 'ERR_MDP_OPTION' }));
    }
  });

  it('waits by titanic.wait, and its reply has the frames without the status', async () => {
    const stage = new Stage(OURS);
    const result = stage.client.job(UUID).result({ timeoutMs: 5000 });
    const asked = await stage.request();
    expect(asked.service).toBe('titanic.wait');
    expect(asked.body[0]).toBe(UUID);
    expect(Number(asked.body[1])).toBeGreaterThan(4000);
    asked.answer('200', 'one', 'two');
    expect((await result).frames.map(String)).toEqual(['one', 'two']);
  });

  it('waits on over a lost connection, without waiting for a time-out', async () => {
    const stage = new Stage(OURS);
    const result = stage.client.job(UUID).result();
    await stage.request();
    stage.net.link.events.disconnected();
    await until(() => stage.net.links.length === 2, 'a second connection');
    stage.net.link.events.connected();
    stage
      .requests()
      .find(({ service }) => service === 'titanic.wait')
      ?.answer('200', 'x');
    expect((await result).text()).toBe('x');
  });

  it('polls titanic.reply where no wait is offered', async () => {
    const stage = new Stage(null, { retryBaseMs: 1, retryMaxMs: 2 });
    const result = stage.client.job(UUID).result();
    const first = await stage.request();
    expect(first.service).toBe('titanic.reply');
    first.answer('300');
    await new Promise((resolve) => setTimeout(resolve, 10));
    (await stage.request()).answer('200', 'x');
    expect((await result).text()).toBe('x');
  });

  it('stops waiting when its time is up, its signal aborts or the client is closed', async () => {
    const stage = new Stage(OURS);
    const job = stage.client.job(UUID);
    expect(await codeFrom(job.result({ timeoutMs: 20 }))).toBe('ERR_TITANIC_PENDING');
    const controller = new AbortController();
    const aborted = codeFrom(job.result({ signal: controller.signal }));
    controller.abort();
    expect(await aborted).toBe('ERR_MDP_ABORTED');
    expect(await codeFrom(job.result({ signal: controller.signal }))).toBe('ERR_MDP_ABORTED');
    expect(stage.client.outstanding).toBe(0);
    const closed = codeFrom(job.result());
    await stage.client.close();
    expect(await closed).toBe('ERR_MDP_CLOSED');
    expect(await codeFrom(job.result())).toBe('ERR_MDP_CLOSED');
  });

  it.each<[string[], unknown]>([
    [['300'], { state: 'pending' }],
    [['400 unknown'], { state: 'unknown' }],
    [['500 dead after 3 attempts'], { state: 'dead', reason: 'dead after 3 attempts' }],
    [['200', 'x'], { state: 'replied', reply: { frames: [Buffer.from('x')] } }],
  ])('asked once, %j is a state', async (answer, state) => {
    const stage = new Stage(OURS);
    const asked = stage.client.job(UUID).state();
    (await stage.request()).answer(...answer);
    expect(await asked).toMatchObject(state as Record<string, unknown>);
  });

  it('is closed by titanic.close; what is not 200 is ERR_TITANIC_REFUSED', async () => {
    const stage = new Stage(OURS);
    const job = stage.client.job(UUID);
    const closed = job.close();
    const asked = await stage.request();
    expect([asked.service, ...asked.body]).toEqual(['titanic.close', UUID]);
    asked.answer('200');
    await closed;
    const refused = job.close();
    (await stage.request()).answer('500 the disk is full');
    await expect(refused).rejects.toMatchObject({
      code: 'ERR_TITANIC_REFUSED',
      details: { status: 500, text: 'the disk is full', uuid: UUID },
    });
  });
});

it.each([
  ['500 the disk is full', 'was not'],
  ['500 outcome unknown: the store did not answer in time', 'it is not known whether'],
  ['?', 'it is not known whether'],
])('an answer of %s says what is known of what was asked for', async (status, words) => {
  const stage = new Stage([...OURS, 'schedule']);
  const { client } = stage;
  for (const ask of [
    () => client.enqueue('render', 'a'),
    () => client.schedule('n', 'render', 'a', { cron: '@daily' }),
    () => client.unschedule('n'),
    () => client.job(UUID).close(),
  ]) {
    const refused = ask();
    (await stage.request()).answer(status);
    await expect(refused).rejects.toMatchObject({
      code: 'ERR_TITANIC_REFUSED',
      message: expect.stringContaining(words),
    });
  }
});

describe('job.progress', () => {
  it('fails before it asks a broker that does not offer it', async () => {
    const stage = new Stage(OURS);
    const parts = stage.client.job(UUID).progress();
    await expect(parts.next()).rejects.toMatchObject({ code: 'ERR_TITANIC_UNSUPPORTED' });
    expect(stage.requests()).toEqual([]);
  });

  it('asks by titanic.progress, each time from where the last answer ended', async () => {
    const stage = new Stage([...OURS, 'progress']);
    const parts = stage.client.job(UUID).progress({ timeoutMs: 5000 });
    const first = parts.next();
    const asked = await stage.request();
    expect([asked.service, ...asked.body]).toEqual(['titanic.progress', UUID, '', '4500']);
    asked.answer('300', 'here', '{"attempt":2,"first":3,"frames":[1,2]}', 'a', 'b', 'c');
    expect((await first).value).toMatchObject({ attempt: 2, index: 3 });
    expect((await parts.next()).value).toMatchObject({ attempt: 2, index: 4 });
    const last = parts.next();
    const next = await stage.request();
    expect(next.body[1]).toBe('here');
    next.answer('200');
    expect(await last).toEqual({ done: true, value: undefined });
  });

  it.each([
    ['no JSON'],
    ['null'],
    ['{"attempt":1,"first":0,"frames":[2]}'],
    ['{"attempt":1,"first":-1,"frames":[1]}'],
    ['{"attempt":1,"first":0,"frames":["1"]}'],
  ])('does not believe an answer with %s', async (facts) => {
    const stage = new Stage([...OURS, 'progress']);
    const part = stage.client.job(UUID).progress().next();
    (await stage.request()).answer('300', 'here', facts, 'a');
    expect(await codeFrom(part)).toBe('ERR_TITANIC_REFUSED');
  });

  it('fails if the broker does not know the service after all', async () => {
    const stage = new Stage([...OURS, 'progress']);
    const part = stage.client.job(UUID).progress().next();
    (await stage.request()).answer('501');
    expect(await codeFrom(part)).toBe('ERR_TITANIC_UNSUPPORTED');
  });

  it('asks again after an answer that may pass, with a pause', async () => {
    const stage = new Stage([...OURS, 'progress', 'fail'], { retryBaseMs: 1, retryMaxMs: 1 });
    const part = stage.client.job(UUID).progress().next();
    for (const answer of ['500 the store is overloaded', '300', '200']) {
      let asked: Asked | undefined;
      await until(() => (asked = stage.requests()[0]) !== undefined, 'a question');
      asked?.answer(answer);
    }
    expect(await part).toEqual({ done: true, value: undefined });
  });
});
