import { Client, type ClientOptions } from '../../../src/sdk/client.js';
import { FakeNet, shown } from './fake-dial.js';

const clients: Client[] = [];
const PROBE = Buffer.alloc(5);
const KIB = 1024;

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

/** A connected client whose broker has said what it accepts. */
function connected(
  messageBytes: unknown,
  options: Partial<ClientOptions> = {},
): { client: Client; net: FakeNet } {
  const net = new FakeNet();
  const client = new Client({ endpoints: ['tcp://a:1'], dial: net.dial, ...options });
  clients.push(client);
  net.link.events.connected();
  const extensions = ['credit', 'headers', 'hello', 'fail', 'submit', 'wait'];
  const facts = JSON.stringify({ extensions, limits: { messageBytes }, pairHeartbeatMs: 0 });
  net.link.says(PROBE, '', 'MDPC02', '\x03', 'mmi.broker', '200', facts);
  net.link.written();
  return { client, net };
}

/** What a promise rejects with. */
async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => 'resolved',
    (error: unknown) => error,
  );
}

describe('a request that is larger than its broker accepts (D100)', () => {
  const LARGE = [Buffer.alloc(KIB), Buffer.alloc(1)];
  const TOO_LARGE = {
    code: 'ERR_MDP_TOO_LARGE',
    details: { service: 'echo', bytes: KIB + 1, bytesMax: KIB },
  };

  it('is not sent, and its error has both sizes; others go on', async () => {
    const { client, net } = connected(KIB);
    const reply = client.request('echo', 'small');
    const [[id = PROBE] = []] = net.link.written();
    expect(await errorOf(client.request('echo', LARGE))).toMatchObject(TOO_LARGE);
    expect(net.link.written()).toEqual([]);
    net.link.says(id, '', 'MDPC02', '\x03', 'echo', 'answer');
    expect((await reply).text()).toBe('answer');
    expect(client.outstanding).toBe(0);
    expect(client.counters).toMatchObject({ resends: 0, reopened: 0 });
  });

  it('is not sent by stream() or enqueue() either, and headers count', async () => {
    const { client, net } = connected(KIB);
    const parts = client.stream('echo', LARGE);
    expect(await errorOf(parts.next())).toMatchObject(TOO_LARGE);
    expect(await errorOf(client.enqueue('echo', LARGE))).toMatchObject({
      code: 'ERR_MDP_TOO_LARGE',
    });
    const headers = { a: 'x'.repeat(500) };
    expect(await errorOf(client.request('echo', Buffer.alloc(600), { headers }))).toMatchObject({
      code: 'ERR_MDP_TOO_LARGE',
    });
    expect(net.link.written()).toEqual([]);
  });

  it('ends with its client that is closed at once, and nothing is dialled any more', async () => {
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = timers();
    const { client, net } = connected(KIB);
    const errors = [client.request('echo', 'small'), client.request('echo', LARGE)].map(errorOf);
    await client.close();
    expect(await Promise.all(errors)).toMatchObject([
      { code: 'ERR_MDP_CLOSED' },
      { code: 'ERR_MDP_CLOSED' },
    ]);
    expect(timers()).toBe(before);
    expect(net.links).toHaveLength(1);
  });

  it('goes to another of several brokers, which accepts it', async () => {
    const net = new FakeNet();
    const endpoints = ['tcp://a:1', 'tcp://b:1'];
    const client = new Client({ endpoints, dial: net.dial, strategy: 'freelance' });
    clients.push(client);
    const [small, other] = net.links;
    if (small === undefined || other === undefined) throw new Error('two links');
    for (const [link, messageBytes] of [
      [small, KIB],
      [other, 2 * KIB],
    ] as const) {
      link.events.connected();
      const facts = JSON.stringify({ extensions: ['hello'], limits: { messageBytes } });
      link.says(PROBE, '', 'MDPC02', '\x03', 'mmi.broker', '200', facts);
      link.written();
    }
    const reply = client.request('echo', LARGE);
    await Promise.resolve();
    expect(small.written()).toEqual([]);
    const [[id = PROBE] = []] = other.written();
    other.says(id, '', 'MDPC02', '\x03', 'echo', 'answer');
    expect((await reply).text()).toBe('answer');
    expect(await errorOf(client.request('echo', Buffer.alloc(3 * KIB)))).toMatchObject({
      code: 'ERR_MDP_TOO_LARGE',
      details: { bytes: 3 * KIB, bytesMax: 2 * KIB },
    });
  });

  it('is not sent as soon as the answer of a new broker is there', async () => {
    const net = new FakeNet();
    const client = new Client({ endpoints: ['tcp://a:1'], dial: net.dial, timeoutMs: 2500 });
    clients.push(client);
    const error = errorOf(client.request('echo', LARGE));
    net.link.events.connected();
    const sent = net.link.written().at(-1) ?? [];
    expect(shown([sent.slice(2, 5)])).toEqual(['MDPC02|\\x01|echo']);
    const why = 'a message of 1040 bytes, at most 1024 are allowed';
    net.link.says(sent[0] ?? '', '', 'MDPC02', '\x03', 'mmi.refused', '413', 'echo', why);
    expect(await error).toMatchObject({
      code: 'ERR_MDP_TOO_LARGE',
      message: expect.stringContaining(why),
      details: { status: '413', service: 'echo', reason: why },
    });
    expect(client.counters).toMatchObject({ resends: 0 });
  });

  it.each([0, -1, 'many', null, undefined])(
    'is sent where the limit is %p, as brokers before this did not say it',
    (limit) => {
      const { client, net } = connected(limit);
      void client.request('echo', LARGE).catch(() => undefined);
      expect(net.link.written()).toHaveLength(1);
    },
  );
});
