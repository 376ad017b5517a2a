import { inspect } from 'node:util';

import { codeOf } from '../../../src/core/errors.js';
import {
  Client,
  type ClientOptions,
  type Part,
  type RequestOptions,
} from '../../../src/sdk/client.js';
import { until } from '../../support/until.js';
import { json } from '../../../src/sdk/codec/codec.js';
import { FakeNet, shown } from './fake-dial.js';

const ENDPOINT = 'tcp://127.0.0.1:5555';
const clients: Client[] = [];

function made(options: Partial<ClientOptions> = {}): { client: Client; net: FakeNet } {
  const net = new FakeNet();
  const client = new Client({ endpoints: [ENDPOINT], dial: net.dial, ...options });
  clients.push(client);
  return { client, net };
}

/** A client whose connection stands, and that has said its first words. */
function connected(options: Partial<ClientOptions> = {}): { client: Client; net: FakeNet } {
  const both = made(options);
  both.net.link.events.connected();
  both.net.link.written();
  return both;
}

/** The correlation frame of the only message that was written. */
function correlation(net: FakeNet): Buffer {
  return net.link.written()[0]?.[0] ?? Buffer.alloc(0);
}

async function codeFrom(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
    return 'resolved';
  } catch (error) {
    return codeOf(error);
  }
}

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

/** A message without the name of the client's session, which is random. */
function withoutSession(message: string | undefined): string | undefined {
  return message?.replace(/,"session":"[\w-]{16}"/, '');
}

const ECHO = Buffer.from('echo');
const USED_UP = 'the quota `hellos` of this identity is used up';

describe('a client whose hello is refused', () => {
  /** The broker refuses the last hello, or one that it had accepted. */
  function refuseHello(net: FakeNet): void {
    net.link.says('', 'MDPC02', '\x03', 'mmi.refused', '429', 'mmi.hello', USED_UP);
  }

  it.each(['failover', 'freelance'] as const)(
    'sends no request until the next is accepted, %s',
    async (strategy) => {
      const { client, net } = connected({ strategy });
      const refused: object[] = [];
      client.on('refused', (event) => refused.push(event));
      refuseHello(net);
      const reply = client.request('echo', 'a');
      const [hello] = shown(net.link.written());
      expect(withoutSession(hello)).toBe('|MDPC02|\\x01|mmi.hello|{"failures":true}');
      net.link.says('', 'MDPC02', '\x03', 'mmi.hello', '200');
      let sent: Buffer[][] = [];
      await until(() => (sent = net.link.written()).length > 0, 'a request was sent');
      const id = sent[0]?.[0] ?? '';
      net.link.says(id, '', 'MDPC02', '\x03', 'echo', 'A');
      expect((await reply).text()).toBe('A');
      const refusal = { service: 'mmi.hello', status: '429', reason: USED_UP };
      expect(refused).toEqual([{ endpoint: ENDPOINT, ...refusal }]);
    },
  );

  it.each(['failover', 'freelance'] as const)(
    'has its requests refused for the same reason when their time is over, %s',
    async (strategy) => {
      const { client, net } = connected({ strategy, resendMs: 100, timeoutMs: 200 });
      refuseHello(net);
      const details = { status: '429', service: 'echo', reason: USED_UP };
      const failed = expect(client.request('echo', 'a')).rejects;
      await failed.toMatchObject({ code: 'ERR_MDP_REFUSED', details });
      const services = net.link.written().map((frames) => frames.map(String));
      expect(services.some((frames) => frames.includes('echo'))).toBe(false);
    },
  );

  it.each(['failover', 'freelance'] as const)(
    'has the requests that it had sent with it refused at once, %s',
    async (strategy) => {
      const { client, net } = connected({ strategy, timeoutMs: 240_000 });
      const details = { status: '429', service: 'echo', reason: USED_UP };
      const failed = ['a', 'b'].map((body) => expect(client.request('echo', body)).rejects);
      refuseHello(net);
      for (const each of failed) await each.toMatchObject({ code: 'ERR_MDP_REFUSED', details });
      expect(
        net.link.written().filter((frames) => frames.some((f) => f.equals(ECHO))),
      ).toHaveLength(2);
    },
  );

  it('has a hedged request refused by the other broker, if that refuses it, too', async () => {
    const endpoints = [ENDPOINT, 'tcp://127.0.0.1:5556'];
    const { client, net } = made({
      strategy: 'freelance',
      endpoints,
      hedgeMs: 0,
      timeoutMs: 240_000,
    });
    for (const { events } of net.links) events.connected();
    const failed = expect(client.request('echo', 'a')).rejects;
    const [one, two] = net.links;
    one?.says('', 'MDPC02', '\x03', 'mmi.refused', '429', 'mmi.hello', USED_UP);
    const [id = ''] = two?.written().find((frames) => frames.some((f) => f.equals(ECHO))) ?? [];
    await Promise.resolve();
    two?.says(id, '', 'MDPC02', '\x03', 'mmi.refused', '404', 'echo', 'unknown');
    await failed.toMatchObject({ code: 'ERR_MDP_NO_WORKER' });
  });

  it('is told of the refusal of no other connection', async () => {
    const endpoints = [ENDPOINT, 'tcp://127.0.0.1:5556'];
    const { client, net } = made({ strategy: 'freelance', endpoints, timeoutMs: 50 });
    for (const { events } of net.links) events.connected();
    net.link.says('', 'MDPC02', '\x03', 'mmi.hello', '200');
    const failed = expect(client.request('echo', 'a')).rejects;
    refuseHello(net);
    await failed.toMatchObject({
      message: "no reply from 'echo' in time (timeoutMs 50; sent once)",
    });
  });

  it('is told of what it has sent as long as the broker did, and then why there is no answer', async () => {
    const { client, net } = connected({ timeoutMs: 50 });
    net.link.says('', 'MDPC02', '\x03', 'mmi.hello', '200');
    const failed = expect(client.request('echo', 'a')).rejects;
    const answered = client.request('echo', 'b');
    refuseHello(net);
    const [, [id = ''] = []] = net.link.written();
    net.link.says(id, '', 'MDPC02', '\x03', 'echo', 'B');
    expect((await answered).text()).toBe('B');
    await failed.toMatchObject({
      code: 'ERR_MDP_TIMEOUT',
      message: `no reply from 'echo' in time (timeoutMs 50; sent once); the broker refused mmi.hello, and so reports no failures: 429 ${USED_UP}`,
    });
  });
});

describe('what a client says', () => {
  it('0.2: hello without, requests with a correlation frame before the header (D2, D11)', () => {
    const { client, net } = made();
    void client.request('echo', ['a', Buffer.from('b')]).catch(() => undefined);
    net.link.events.connected();
    expect(shown(net.link.written()).map(withoutSession)).toEqual([
      '|MDPC02|\\x01|mmi.hello|{"failures":true}',
      '\\x00\\x00\\x00\\x00\\x00||MDPC02|\\x01|mmi.broker|',
      '\\x00\\x00\\x00\\x01\\x01||MDPC02|\\x01|echo|a|b',
    ]);
  });

  it('0.1: the same in the form of 7/MDP', () => {
    const { client, net } = made({ protocol: '0.1' });
    void client.request('echo', []).catch(() => undefined);
    net.link.events.connected();
    expect(shown(net.link.written())).toEqual([
      '|MDPC01|mmi.hello|{"failures":true}',
      '\\x00\\x00\\x00\\x00\\x00||MDPC01|mmi.broker|',
      '\\x00\\x00\\x00\\x01\\x01||MDPC01|echo|',
    ]);
  });

  it("ifNoWorker: 'fail': that it does not want to wait for a worker (D65)", async () => {
    const { client, net } = made({ ifNoWorker: 'fail' });
    const code = codeFrom(client.request('echo', 'hi'));
    net.link.events.connected();
    const written = net.link.written();
    const hello = '|MDPC02|\\x01|mmi.hello|{"noWorker":"refuse","failures":true}';
    expect(withoutSession(shown(written)[0])).toBe(hello);
    const id = written[2]?.[0] ?? '';
    net.link.says(id, '', 'MDPC02', '\x03', 'mmi.refused', '404', 'echo', 'no worker serves it');
    expect(await code).toBe('ERR_MDP_NO_WORKER');
    expect(() => made({ ifNoWorker: 'fail', envelope: false })).toThrow(/ifNoWorker/);
    expect(() => made({ ifNoWorker: 'never' as 'wait' })).toThrow("'wait' or 'fail'");
  });

  it('envelope: false: no hello, and just the request', () => {
    const { client, net } = made({ protocol: '0.1', envelope: false });
    void client.request('echo', 'hi').catch(() => undefined);
    net.link.events.connected();
    expect(shown(net.link.written())).toEqual(['|MDPC01|echo|hi']);
  });
});

describe('what a client makes of answers', () => {
  it('matches replies to requests in whatever order they come', async () => {
    const { client, net } = connected();
    const replies = [client.request('echo', '1'), client.request('echo', '2')];
    const ids = net.link.written().map(([id]) => id ?? Buffer.alloc(0));
    net.link.says(ids[1] ?? '', '', 'MDPC02', '\x03', 'echo', 'two', '2');
    net.link.says(ids[0] ?? '', '', 'MDPC02', '\x03', 'echo', '{"one":1}');
    const [first, second] = await Promise.all(replies);
    expect(first?.json()).toEqual({ one: 1 });
    expect(second?.frames.map(String)).toEqual(['two', '2']);
    expect(second?.text()).toBe('two2');
    expect(client.outstanding).toBe(0);
  });

  it('counts and ignores what is no reply, of another service, late or twice', async () => {
    const { client, net } = connected();
    const reply = client.request('echo', '1');
    const id = correlation(net);
    net.link.says('rubbish');
    net.link.says(id, '', 'MDPC02', '\x07', 'echo', 'x');
    net.link.says(id, '', 'MDPC02', '\x03', 'other', 'x');
    net.link.says('too long an id', '', 'MDPC02', '\x03', 'echo', 'x');
    net.link.says(id, '', 'MDPC02', '\x03', 'echo', 'right');
    net.link.says(id, '', 'MDPC02', '\x03', 'echo', 'again');
    expect((await reply).text()).toBe('right');
    expect(client.counters).toEqual({
      malformed: 4,
      late: 1,
      resends: 0,
      hedges: 0,
      reopened: 0,
      resumed: 0,
    });
  });

  it('counts a late answer as late, whatever request now has the slot of its own', async () => {
    const { client, net } = connected();
    const controller = new AbortController();
    const gone = codeFrom(client.request('echo', 'gone', { signal: controller.signal }));
    const late = correlation(net);
    controller.abort();
    expect(await gone).toBe('ERR_MDP_ABORTED');
    const texts: string[] = [];
    for (let count = 1; count <= 300; count++) {
      const reply = client.request('echo', `${count}`);
      const id = correlation(net);
      net.link.says(late, '', 'MDPC02', '\x03', 'echo', 'late');
      net.link.says(id, '', 'MDPC02', '\x03', 'echo', `${count}`);
      texts.push((await reply).text());
    }
    expect(texts).toEqual(Array.from({ length: 300 }, (_, index) => `${index + 1}`));
    expect(client.counters).toMatchObject({ late: 300, malformed: 0 });
  });

  it('keeps each of many replies, though they share memory, as frames, text and JSON', async () => {
    const { client, net } = connected();
    const bodies = Array.from({ length: 500 }, (_, index) => `"${'x'.repeat(index * 10)}"`);
    const asked = bodies.map((body) => client.request('echo', body));
    for (const [index, [id = '']] of net.link.written().entries()) {
      net.link.says(id, '', 'MDPC02', '\x03', 'echo', bodies[index] ?? '');
    }
    const replies = await Promise.all(asked);
    expect(replies.map((reply) => JSON.stringify(reply.json()))).toEqual(bodies);
    expect(replies.map((reply) => reply.text())).toEqual(bodies);
    expect(replies.map(({ frames }) => frames.join())).toEqual(bodies);
    // So that numbers in them can be read with typed arrays, as from Node's own pool.
    expect(replies.every(({ frames }) => (frames[0]?.byteOffset ?? 1) % 8 === 0)).toBe(true);
    const [first, second] = replies;
    first?.frames[0]?.fill('!');
    expect([first?.text(), second?.text()]).toEqual(['!!', bodies[1]]);
    const shown = { service: 'echo', frames: [Buffer.from(bodies[1] ?? '')] };
    expect(JSON.stringify(second)).toBe(JSON.stringify(shown));
    expect(inspect(second)).toBe(inspect(shown));
  });

  it('rejects with what mmi.refused says (D11)', async () => {
    const { client, net } = connected();
    const reply = client.request('echo', '1');
    net.link.says(correlation(net), '', 'MDPC02', '\x03', 'mmi.refused', '408', 'echo', 'expired');
    await expect(reply).rejects.toMatchObject({
      code: 'ERR_MDP_REFUSED',
      details: { status: '408', service: 'echo', reason: 'expired' },
    });
  });

  it('joins the parts of a service that streams', async () => {
    const { client, net } = connected();
    const reply = client.request('echo', '1');
    const id = correlation(net);
    net.link.says(id, '', 'MDPC02', '\x02', 'echo', 'a', 'b');
    net.link.says(id, '', 'MDPC02', '\x03', 'echo', 'c');
    expect((await reply).frames.map(String)).toEqual(['a', 'b', 'c']);
  });

  it('joins no parts of an attempt with the answer to a later one, which only told progress', async () => {
    const { client, net } = connected({ retryBaseMs: 1 });
    net.link.says('', 'MDPC02', '\x03', 'mmi.hello', '200');
    const reply = client.request('echo', '1');
    net.link.says(correlation(net), '', 'MDPC02', '\x02', 'echo', 'old');
    net.link.events.disconnected();
    await until(() => net.links.length === 2, 'the next connection');
    net.link.events.connected();
    const id = net.link.written().at(-1)?.[0] ?? '';
    net.link.says(id, '', 'MDPC02', '\x02', 'echo', 'MDPP01', 'half');
    net.link.says(id, '', 'MDPC02', '\x03', 'echo', 'new');
    expect((await reply).frames.map(String)).toEqual(['new']);
  });

  it('a body that is no JSON is ERR_MDP_BODY', async () => {
    const { client, net } = connected();
    const reply = client.request('echo', '1');
    net.link.says(correlation(net), '', 'MDPC02', '\x03', 'echo', '{');
    const message = await reply;
    expect(() => message.json()).toThrow(expect.objectContaining({ code: 'ERR_MDP_BODY' }));
  });
});

describe('streams', () => {
  it('give each part as it comes, the last marked final, and send at the first next()', async () => {
    const { client, net } = connected();
    const stream = client.stream('count', '3');
    expect(net.link.written()).toEqual([]);
    const first = stream.next();
    const id = correlation(net);
    for (const part of ['1', '2']) net.link.says(id, '', 'MDPC02', '\x02', 'count', part);
    net.link.says(id, '', 'MDPC02', '\x03', 'count', '3');
    const parts: Part[] = [];
    const { value } = await first;
    if (value !== undefined) parts.push(value);
    for await (const part of stream) parts.push(part);
    expect(parts.map((part) => [part.text(), part.final])).toEqual([
      ['1', false],
      ['2', false],
      ['3', true],
    ]);
  });

  it('a loop that is left early gives the request up', async () => {
    const { client, net } = connected();
    const stream = client.stream('count', '');
    const first = stream.next();
    const id = correlation(net);
    net.link.says(id, '', 'MDPC02', '\x02', 'count', '1');
    await first;
    expect(client.outstanding).toBe(1);
    await stream.return?.();
    expect(client.outstanding).toBe(0);
    net.link.says(id, '', 'MDPC02', '\x02', 'count', '2');
    expect(client.counters.late).toBe(1);
    expect((await stream.next()).done).toBe(true);
  });

  it('parts that are not read are bounded: ERR_MDP_LIMIT after those that were kept', async () => {
    const { client, net } = connected({ streamBufferBytes: 250 });
    const stream = client.stream('count', '');
    const first = stream.next();
    const id = correlation(net);
    for (let part = 0; part < 5; part++) net.link.says(id, '', 'MDPC02', '\x02', 'count', 'x');
    expect((await first).value?.text()).toBe('x');
    await stream.next();
    await stream.next();
    expect(await codeFrom(stream.next())).toBe('ERR_MDP_LIMIT');
    expect((await stream.next()).done).toBe(true);
    expect(client.outstanding).toBe(0);
  });
});

describe('giving up', () => {
  it('an AbortSignal rejects with ERR_MDP_ABORTED, before the call and during it', async () => {
    const { client } = connected();
    const controller = new AbortController();
    const pending = client.request('echo', '', { signal: controller.signal });
    const stream = client.stream('echo', '', { signal: controller.signal });
    const next = stream.next();
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(pending).rejects.toMatchObject({ code: 'ERR_MDP_ABORTED', cause: reason });
    expect(await codeFrom(next)).toBe('ERR_MDP_ABORTED');
    const after = client.request('echo', '', { signal: controller.signal });
    expect(await codeFrom(after)).toBe('ERR_MDP_ABORTED');
    expect(client.outstanding).toBe(0);
  });

  it('close() rejects what is outstanding, and what is asked after it, with ERR_MDP_CLOSED', async () => {
    const { client, net } = connected();
    const pending = client.request('echo', '');
    const next = client.stream('echo', '').next();
    const codes = Promise.all([codeFrom(pending), codeFrom(next)]);
    await client.close();
    expect(await codes).toEqual(['ERR_MDP_CLOSED', 'ERR_MDP_CLOSED']);
    expect(await codeFrom(client.request('echo', ''))).toBe('ERR_MDP_CLOSED');
    expect(net.link.closed).toBe(true);
  });

  it('more than maxOutstanding requests at once are ERR_MDP_LIMIT', async () => {
    const { client } = connected({ maxOutstanding: 1 });
    void client.request('echo', '').catch(() => undefined);
    expect(await codeFrom(client.request('echo', ''))).toBe('ERR_MDP_LIMIT');
  });
});

describe('options', () => {
  it.each([
    [{}, 'ERR_MDP_OPTION', 'endpoints'],
    [{ endpoints: [] }, 'ERR_MDP_OPTION', 'endpoints'],
    [{ endpoints: ['localhost'] }, 'ERR_MDP_ENDPOINT', 'localhost'],
    [{ endpoints: [ENDPOINT], timeOutMs: 1 }, 'ERR_MDP_OPTION', '; did you mean timeoutMs'],
    [{ endpoints: [ENDPOINT], zzz: 1 }, 'ERR_MDP_OPTION', 'zzz is not an option of Client'],
    [{ endpoint: ENDPOINT }, 'ERR_MDP_OPTION', 'did you mean endpoints'],
    [
      { endpoints: [ENDPOINT], curve: { serverkey: '' } },
      'ERR_MDP_OPTION',
      'curve.serverkey is not an option of curve; did you mean serverKey',
    ],
    [{ endpoints: [ENDPOINT], timeoutMs: 0 }, 'ERR_MDP_OPTION', 'timeoutMs'],
    [{ endpoints: [ENDPOINT], retries: '3' }, 'ERR_MDP_OPTION', 'retries'],
    [{ endpoints: [ENDPOINT], protocol: '0.3' }, 'ERR_MDP_OPTION', 'protocol'],
    [{ endpoints: [ENDPOINT], envelope: 1 }, 'ERR_MDP_OPTION', 'envelope'],
  ])('%j is %s, and the text names %s', (options, code, named) => {
    let thrown: unknown;
    try {
      clients.push(new Client(options as ClientOptions));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code, message: expect.stringContaining(named) });
  });

  const hole = ['a'];
  hole[2] = 'b';
  it.each([
    ['', 'x', {}, 'ERR_MDP_OPTION'],
    ['echo', hole, {}, 'ERR_MDP_BODY'],
    ['a'.repeat(256), 'x', {}, 'ERR_MDP_OPTION'],
    ['echo', 5, {}, 'ERR_MDP_BODY'],
    ['echo', ['a', null], {}, 'ERR_MDP_BODY'],
    ['echo', 'x', { timeoutMs: 1.5 }, 'ERR_MDP_OPTION'],
    ['echo', 'x', { signal: 'now' }, 'ERR_MDP_OPTION'],
    ['echo', 'x', { retry: 1 }, 'ERR_MDP_OPTION'],
  ])('request(%j, %j, %j) rejects with %s', async (service, body, options, code) => {
    const { client } = connected();
    expect(await codeFrom(client.request(service, body as string, options as RequestOptions))).toBe(
      code,
    );
  });
});

describe('a body that is none', () => {
  it.each([{}, { codec: json() }])('is refused if nobody awaited it, with %j', async (options) => {
    const { client } = connected(options as Partial<ClientOptions>);
    const body: unknown = Promise.resolve('x');
    await expect(client.request('echo', body as never)).rejects.toMatchObject({
      code: 'ERR_MDP_BODY',
      message: 'a body cannot be a Promise: await it first',
    });
  });

  it.each([
    [{ a: 1 }, 'not object; to send values as JSON, give the option `codec: json()`'],
    [null, 'not null'],
    [7, 'not number'],
  ])('is refused: %j', async (body, says) => {
    const { client } = connected();
    const error = await client.request('echo', body as never).catch((thrown: unknown) => thrown);
    expect(codeOf(error)).toBe('ERR_MDP_BODY');
    expect((error as Error).message).toBe(
      `a body must be a string, bytes, or an array of these, ${says}`,
    );
  });
});

describe('a broker that leaves its output unread', () => {
  it('is sent no further requests, which wait, and go when it has read', async () => {
    const { client, net } = connected({ retryBaseMs: 1, timeoutMs: 20_000 });
    net.link.waitingBytes = 128 * 1024 * 1024;
    const reply = client.request('echo', 'x');
    expect(net.link.written()).toEqual([]);
    net.link.waitingBytes = 0;
    let sent: Buffer[][] = [];
    await until(() => (sent = net.link.written()).length > 0, 'the request was sent');
    net.link.says(sent[0]?.[0] ?? '', '', 'MDPC02', '\x03', 'echo', 'y');
    expect((await reply).text()).toBe('y');
  });
});
