/** What brokers and services send may be anything: it ends at most the one call, with a code, and no client or worker. */
import { codeOf } from '../../../src/core/errors.js';
import { Client } from '../../../src/sdk/client.js';
import { keyBytes, sharedMapSettings } from '../../../src/sdk/map/map-options.js';
import { isMajordomoError } from '../../../src/sdk/service-error.js';
import { topicList } from '../../../src/sdk/stream/topics.js';
import { type Request, Worker } from '../../../src/sdk/worker.js';
import { FakeNet, shown } from './fake-dial.js';

const UUID = '0123456789ABCDEF0123456789ABCDEF';
const LEVELS = `{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`;
const DIGITS = '9'.repeat(5000);
const STRANGE = {
  levels: LEVELS,
  digits: `{"a":${DIGITS}}`,
  'no UTF-8': Buffer.from([0x7b, 0xff, 0x7d]),
  text: 'nul',
  list: '[1]',
  nothing: '',
};
type Frame = string | Buffer;
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

/** A client whose broker has told what it knows. */
function clientOf(...facts: readonly Frame[]): { client: Client; net: FakeNet } {
  const net = new FakeNet();
  const client = new Client({ endpoints: 'tcp://a:1', dial: net.dial, timeoutMs: 2500 });
  closing.push(() => client.close());
  net.link.events.connected();
  net.link.written();
  const correlation = Buffer.from([0, 0, 0, 0, 0]);
  net.link.says(correlation, '', 'MDPC02', '\x03', 'mmi.broker', ...facts);
  return { client, net };
}

const ALL = ['submit', 'wait', 'fail', 'headers', 'progress', 'cancel'];
const FACTS = ['200', JSON.stringify({ extensions: ALL })] as const;

/** The one request that was written since the last call; `answer` is from the service that it names. */
async function asked(net: FakeNet): Promise<(service: string, ...body: readonly Frame[]) => void> {
  for (;;) {
    const [frames] = net.link.written();
    if (frames !== undefined) {
      const [correlation = Buffer.alloc(0)] = frames;
      return (service, ...body) => {
        net.link.says(correlation, '', 'MDPC02', '\x03', service, ...body);
      };
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The code of a call's error, or its result. */
async function end(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return codeOf(error);
  }
}

async function worksStill({ client, net }: ReturnType<typeof clientOf>): Promise<void> {
  const reply = client.request('echo', 'x');
  (await asked(net))('echo', 'y');
  expect((await reply).text()).toBe('y');
}

describe.each(Object.entries(STRANGE))('a client gets %s', (_, strange) => {
  it('as what a broker says of itself', async () => {
    await worksStill(clientOf('200', strange));
    await worksStill(clientOf(strange, strange));
  });

  it('as the details of a failure', async () => {
    const made = clientOf(...FACTS);
    const error = made.client.request('echo', 'x').catch((thrown: unknown) => thrown);
    (await asked(made.net))('mmi.failed', 'echo', 'bad', 'It is bad', strange);
    const failure = await error;
    if (!isMajordomoError(failure, 'ERR_SERVICE_FAILED')) throw failure;
    expect(failure.detail.map(String)).toEqual([String(strange)]);
    await worksStill(made);
  });

  it('as the status of a refusal', async () => {
    const made = clientOf(...FACTS);
    const refused = end(made.client.request('echo', 'x'));
    (await asked(made.net))('mmi.refused', strange, 'echo', strange);
    expect(await refused).toBe('ERR_MDP_REFUSED');
    await worksStill(made);
  });

  it('as a body that it reads as JSON', async () => {
    const made = clientOf(...FACTS);
    const reply = made.client.request('echo', 'x');
    (await asked(made.net))('echo', strange);
    const body = await reply;
    const read = await end(Promise.resolve().then(() => body.json()));
    expect(read === 'ERR_MDP_BODY' || typeof read === 'object').toBe(true);
    await worksStill(made);
  });

  it('as an answer of mmi.contract or titanic', async () => {
    const made = clientOf(...FACTS);
    const { client, net } = made;
    const contract = end(client.contractOf('echo'));
    (await asked(net))('mmi.contract', '200', strange);
    expect(await contract).toBe('ERR_MDP_BODY');
    for (const frames of [['200', strange], [strange], [`200 ${String(strange)}`]]) {
      const stored = end(client.enqueue('echo', 'x'));
      (await asked(net))('titanic.submit', ...frames);
      expect(await stored).toBe('ERR_TITANIC_REFUSED');
    }
    const state = end(client.job(UUID).state());
    (await asked(net))('titanic.reply', strange);
    expect(await state).toBe('ERR_TITANIC_REFUSED');
    const part = end(client.job(UUID).progress().next());
    (await asked(net))('titanic.progress', '300', 'place', strange, 'part');
    expect(await part).toBe('ERR_TITANIC_REFUSED');
    const listed = end(client.schedules());
    (await asked(net))('titanic.schedules', '200', strange);
    expect(await listed).toBe('ERR_TITANIC_REFUSED');
    await worksStill(made);
  });
});

const TIME = '2026-01-01T00:00:00.000Z';
const SCHEDULE = {
  name: 'n',
  service: 's',
  cron: '@daily',
  timeZone: 'UTC',
  next: TIME,
  since: TIME,
  firings: 3,
};

it.each([
  ['no object', null],
  ['no name', { ...SCHEDULE, name: 5 }],
  ['a name of 5000 levels', { ...SCHEDULE, name: JSON.parse(LEVELS) as unknown }],
  ['no time', { ...SCHEDULE, next: 'never' }],
  ['no number', { ...SCHEDULE, firings: '3' }],
])('a client gets a schedule with %s', async (_, schedule) => {
  const made = clientOf(...FACTS);
  const listed = end(made.client.schedules());
  const text = written({ schedules: [schedule] });
  (await asked(made.net))('titanic.schedules', '200', text);
  expect(await listed).toBe('ERR_TITANIC_REFUSED');
  const good = made.client.schedules();
  (await asked(made.net))('titanic.schedules', '200', written({ schedules: [SCHEDULE] }));
  expect(await good).toEqual([{ ...SCHEDULE, next: new Date(TIME), since: new Date(TIME) }]);
  await worksStill(made);
});

/** As JSON, whatever its depth. */
function written(value: unknown): string {
  if (Array.isArray(value)) {
    let depth = 0;
    for (let at: unknown = value; Array.isArray(at) && at.length === 1; at = at[0]) depth++;
    if (depth > 100) return '['.repeat(depth) + '[]' + ']'.repeat(depth);
    return `[${value.map(written).join()}]`;
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const pairs = Object.entries(value).map(([key, each]) => `"${key}":${written(each)}`);
  return `{${pairs.join()}}`;
}

it.each([
  ...Object.entries(STRANGE),
  ['a number', '{"a":1}'],
  ['half of a surrogate pair', '{"a":"\\ud800"}'],
])('a worker gets %s as headers, and a deadline of 5000 digits', async (_, headers) => {
  const net = new FakeNet();
  const got: Request[] = [];
  const worker = new Worker(
    { endpoints: 'tcp://a:1', service: 'echo', dial: net.dial },
    (request) => {
      got.push(request);
      return 'y';
    },
  );
  closing.push(() => worker.close());
  void worker.run();
  net.link.events.connected();
  net.link.says('', 'MDPC02', '\x03', 'mmi.broker', ...FACTS);
  const warn = process.emitWarning;
  process.emitWarning = () => undefined;
  net.link.says('MDPW02', '\x09', 'token', '', DIGITS, headers, 'x');
  process.emitWarning = warn;
  expect(got.map((request) => [request.headers, request.signal.aborted])).toEqual([[{}, false]]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(shown(net.link.written()).at(-1)).toBe('MDPW02|\\x04|token||y');
});

describe('text that UTF-8 cannot say is an error before anything is sent', () => {
  const HALF = '\ud800';

  it('as a body, a service, a header or a key', async () => {
    const { client, net } = clientOf(...FACTS);
    expect(await end(client.request('echo', HALF))).toBe('ERR_MDP_BODY');
    expect(await end(client.request('echo', ['x', HALF]))).toBe('ERR_MDP_BODY');
    expect(await end(client.request(HALF, 'x'))).toBe('ERR_MDP_OPTION');
    expect(await end(client.request('echo', 'x', { headers: { a: HALF } }))).toBe('ERR_MDP_OPTION');
    expect(await end(client.enqueue('echo', 'x', { idempotencyKey: HALF }))).toBe('ERR_MDP_OPTION');
    expect(net.link.written()).toEqual([]);
  });

  it('as the name or the service of a worker', () => {
    const make = (options: object) => () =>
      new Worker({ endpoints: 'tcp://a:1', service: 'echo', ...options }, () => 'x');
    expect(make({ name: HALF })).toThrow('surrogate');
    expect(make({ service: HALF })).toThrow('surrogate');
  });

  it('as a key or a subtree of a map, or a topic', () => {
    expect(() => keyBytes(HALF, Buffer.alloc(0))).toThrow('surrogate');
    const endpoints = 'tcp://127.0.0.1:5570';
    expect(() => sharedMapSettings({ endpoints, subtree: `/${HALF}/` })).toThrow('surrogate');
    expect(() => topicList(HALF, 'topics')).toThrow('surrogate');
  });
});
