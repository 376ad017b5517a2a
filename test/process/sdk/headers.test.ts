/** Headers and deadlines as applications use them (docs/sdk.md). */
import { codeOf } from '../../../src/core/errors.js';
import { Client, type ClientOptions } from '../../../src/sdk/client.js';
import { type Handler, Worker, type WorkerOptions } from '../../../src/sdk/worker.js';
import { type Daemon, removeDaemons, startDaemon } from '../../support/daemon.js';
import { PATIENCE_MS } from '../../support/patience.js';

const HEADERS = {
  tenant: 'a',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
};
const closing: (() => Promise<void>)[] = [];
/** For the whole file. */
let daemon: Daemon;

beforeAll(async () => {
  daemon = await startDaemon();
});

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

afterAll(removeDaemons);

function client(endpoint: string, options: Partial<ClientOptions> = {}): Client {
  const made = new Client({ endpoints: [endpoint], ...options });
  closing.push(() => made.close());
  return made;
}

async function worker(handler: Handler, options: Partial<WorkerOptions> = {}): Promise<void> {
  const before = daemon.logged('worker.registered').length;
  const made = new Worker({ endpoints: [daemon.endpoint], service: 'echo', ...options }, handler);
  closing.push(() => made.close({ graceMs: 100 }));
  void made.run();
  await daemon.waitFor('worker.registered', before + 1);
}

/** Answers with what it was told beside the body. */
const tells: Handler = (request) => JSON.stringify([request.text(), request.headers]);

describe('headers', () => {
  it.each<['0.1' | '0.2', number, string | undefined]>([
    ['0.2', 1, undefined],
    ['0.2', 3, undefined],
    ['0.1', 1, undefined],
    ['0.2', 2, ''],
  ])(
    'reach the handler, and only of requests that have them (%s, %i, name %j)',
    async (...given) => {
      const [protocol, concurrency, name] = given;
      const named = name === undefined ? {} : { name };
      const frozen: boolean[] = [];
      await worker(
        (request, context) => {
          frozen.push(Object.isFrozen(request.headers));
          return tells(request, context);
        },
        { protocol, concurrency, ...named },
      );
      const asking = client(daemon.endpoint, { timeoutMs: PATIENCE_MS });
      const told = async (headers?: Record<string, string>): Promise<unknown> =>
        (await asking.request('echo', 'hi', headers === undefined ? {} : { headers })).json();
      expect(await told(HEADERS)).toEqual(['hi', HEADERS]);
      expect(await told()).toEqual(['hi', {}]);
      expect(await told({})).toEqual(['hi', {}]);
      // The first request of a client, which does not know yet what its broker takes.
      const first = client(daemon.endpoint, { timeoutMs: PATIENCE_MS });
      const replies = await Promise.all([
        first.request('echo', '1', { headers: HEADERS }),
        first.request('echo', '2'),
      ]);
      expect(replies.map((reply) => reply.json())).toEqual([
        ['1', HEADERS],
        ['2', {}],
      ]);
      expect(frozen).toEqual([true, true, true, true, true]);
      expect(first.counters).toEqual({
        malformed: 0,
        late: 0,
        resends: 0,
        hedges: 0,
        reopened: 0,
        resumed: 0,
      });
    },
  );

  it('come with a stream, without a deadline', async () => {
    await worker(async function* (request) {
      yield await Promise.resolve(JSON.stringify(request.headers));
      return String(request.signal.aborted);
    });
    const parts: string[] = [];
    const stream = client(daemon.endpoint).stream('echo', '', { headers: HEADERS });
    for await (const part of stream) parts.push(part.text());
    expect(parts).toEqual([JSON.stringify(HEADERS), 'false']);
  });

  it('of another client that are not what they should be are left out, with a warning', async () => {
    const warnings: unknown[] = [];
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation((_, options) => {
      warnings.push(options);
    });
    closing.push(() => {
      warn.mockRestore();
      return Promise.resolve();
    });
    await worker(tells);
    const asking = client(daemon.endpoint, { timeoutMs: PATIENCE_MS });
    // As `titanic.request` of a client that checks nothing, by hand.
    const { Dealer } = await import('zeromq');
    const raw = new Dealer({ linger: 0 });
    closing.push(() => {
      raw.close();
      return Promise.resolve();
    });
    raw.connect(daemon.endpoint);
    await raw.send(['MDPC02', '\x04', 'echo', '', '{"A":1}', 'hi']);
    const answer = await raw.receive();
    expect(String(answer.at(-1))).toBe('["hi",{}]');
    expect(warnings).toEqual([{ code: 'MDP_INVALID_HEADERS' }]);
    expect((await asking.request('echo', 'hi', { headers: HEADERS })).json()).toEqual([
      'hi',
      HEADERS,
    ]);
  });
});

describe('the deadline', () => {
  it('is what the client has left of its time-outs, and aborts the signal', async () => {
    const aborted: string[] = [];
    const registered: Promise<void>[] = [];
    let begins = (): void => undefined;
    const began = new Promise<void>((resolve) => {
      begins = resolve;
    });
    const ended = new Promise<void>((resolve) => {
      const begun = worker(async ({ signal }, context) => {
        if (signal !== context.signal) throw new Error('two signals');
        begins();
        await new Promise((abort) => signal.addEventListener('abort', abort));
        aborted.push(codeOf(signal.reason) ?? '');
        resolve();
        return 'too late';
      });
      registered.push(begun);
    });
    await Promise.all(registered);
    const asking = client(daemon.endpoint);
    // It is connected: the time is that of the request alone.
    await asking.request('mmi.service', 'echo');
    const options = { headers: {}, timeoutMs: 2000 };
    const since = performance.now();
    const asked = asking.request('echo', 'hi', options);
    await began;
    // Otherwise its cancel may come first.
    const closed = expect(asked).rejects.toMatchObject({ code: 'ERR_MDP_CLOSED' });
    await asking.close();
    await Promise.all([closed, ended]);
    expect(aborted).toEqual(['ERR_MDP_TIMEOUT']);
    expect(performance.now() - since).toBeGreaterThan(1950);
  });
});

describe('what cannot be sent', () => {
  const long = 'x'.repeat(9000);
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`h${at}`, '']));

  it.each<[string, unknown]>([
    ['headers are an object of strings', null],
    ['headers are an object of strings', 'a=b'],
    ['headers are an object of strings', ['a']],
    ['headers are an object of strings', new Map([['a', 'b']])],
    ['the header name "Tenant" is not 1 to 64 characters of a-z, 0-9 and -', { Tenant: 'a' }],
    ['the header a is not a string', { a: 5 }],
    ['headers take 9008 bytes; at most 8192 are allowed', { a: long }],
    ['there are at most 64 headers', many],
  ])('is ERR_MDP_OPTION: %s', async (message, headers) => {
    const asking = client('tcp://127.0.0.1:1');
    const options = { headers } as { headers: Record<string, string> };
    const error = { code: 'ERR_MDP_OPTION', message, details: { option: 'headers' } };
    await expect(asking.request('echo', 'hi', options)).rejects.toMatchObject(error);
    await expect(asking.submit('echo', 'hi', options)).rejects.toMatchObject(error);
    expect(() => asking.stream('echo', 'hi', options)).toThrow(expect.objectContaining(error));
  });

  it.each([-1, 1e99, 0, NaN])('is a time-out of %d: ERR_MDP_OPTION', async (timeoutMs) => {
    const asking = client('tcp://127.0.0.1:1');
    const asked = asking.request('echo', 'hi', { headers: {}, timeoutMs });
    await expect(asked).rejects.toMatchObject({
      code: 'ERR_MDP_OPTION',
      details: { option: 'timeoutMs' },
    });
  });

  it.each([{ protocol: '0.1' }, { envelope: false }] as const)(
    'is headers with %j: ERR_MDP_OPTION',
    async (options) => {
      const asking = client('tcp://127.0.0.1:1', options);
      const asked = asking.request('echo', 'hi', { headers: HEADERS });
      await expect(asked).rejects.toMatchObject({ code: 'ERR_MDP_OPTION' });
    },
  );
});
