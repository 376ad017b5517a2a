import { codeOf } from '../../src/core/errors.js';
import type { Link } from '../../src/zmtp/link-port.js';
import { LIMITS, LinkRecord, Server, writeAll } from './transport-fixture.js';
import type { LinkOptions, TransportFactory } from './transport-fixture.js';
import { until } from './until.js';

/** The DEALER side. */
export function describeLink(factory: TransportFactory): void {
  const closers: (() => unknown)[] = [];

  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function serve(endpoint?: string): Promise<Server> {
    const server = await Server.open(factory, endpoint === undefined ? undefined : [endpoint]);
    closers.push(() => server.transport.close(0));
    server.answer = (peer, frames) => {
      server.send(peer, 're', ...frames.copyFrom(0));
      server.transport.flush();
    };
    return server;
  }

  function dial(
    endpoint: string,
    options: Partial<LinkOptions> = {},
  ): { link: Link; events: LinkRecord; send: (...frames: string[]) => void } {
    const events = new LinkRecord();
    const link = factory.dial({ limits: LIMITS, ...options })(endpoint, events);
    closers.push(() => link.close(0));
    const send = (...frames: string[]): void => {
      writeAll((bytes, start, end, more) => link.write(bytes, start, end, more), frames);
    };
    return { link, events, send };
  }

  /** An endpoint without a listener. */
  async function vacant(): Promise<string> {
    const server = await serve();
    await server.transport.close(0);
    return server.endpoint;
  }

  it('is told when the connection stands, and carries messages both ways in order', async () => {
    const server = await serve();
    const { events, send } = dial(server.endpoint);
    const sent = Array.from({ length: 1000 }, (_, index) => [String(index), '', 'x']);
    for (const frames of sent) send(...frames);
    await until(() => events.told.length === sent.length + 1, 'all answers');
    expect(server.texts(0)).toEqual(sent);
    expect(events.told.slice(0, 2)).toEqual(['connected', 'message re|0||x']);
    expect(events.told.at(-1)).toBe('message re|999||x');
  });

  it('is not told of the empty message with which a ROUTER may begin (D113)', async () => {
    const server = await serve();
    server.answer = (peer, frames) => {
      server.send(peer, '');
      server.send(peer, 're', ...frames.copyFrom(0));
      server.send(peer, '', '');
      server.transport.flush();
    };
    const { events, send } = dial(server.endpoint);
    send('x');
    await events.untilTold('message |');
    expect(events.told).toEqual(['connected', 'message re|x', 'message |']);
  });

  it('shows the routing id that it was given', async () => {
    const server = await serve();
    const { send } = dial(server.endpoint, { routingId: Buffer.from('w\u00ff1', 'latin1') });
    send('hello');
    const peer = await server.peerOf('hello');
    expect(server.infos[peer]?.ownRoutingId).toBe(true);
    expect(server.infos[peer]?.routingId.toString('latin1')).toBe('w\u00ff1');
  });

  it('dials again by itself and is told of every connection', async () => {
    const server = await serve();
    const { events, send } = dial(server.endpoint);
    await events.untilTold('connected');
    for (let round = 1, listening = server; round <= 2; round++) {
      await listening.transport.close(0);
      await events.untilTold('disconnected', round);
      listening = await serve(server.endpoint);
      await events.untilTold('connected', round + 1);
      send(`round ${round}`);
      await events.untilTold(`message re|round ${round}`);
    }
    const connections = events.told.filter((one) => !one.startsWith('message'));
    expect(connections).toEqual([
      'connected',
      'disconnected',
      'connected',
      'disconnected',
      'connected',
    ]);
  });

  it('holds what is written while there is no connection, and delivers it once', async () => {
    const endpoint = await vacant();
    const { events, send } = dial(endpoint);
    for (let index = 0; index < 500; index++) send('held', String(index));
    const server = await serve(endpoint);
    await server.untilMessages(500);
    await events.untilTold('message re|held|499');
    expect(server.texts(0)).toEqual(
      Array.from({ length: 500 }, (_, index) => ['held', String(index)]),
    );
  });

  it('holds no more than outputBytesMax, says so once, and takes messages again after', async () => {
    const endpoint = await vacant();
    let told = 0;
    const { send } = dial(endpoint, {
      limits: { ...LIMITS, outputBytesMax: 100_000 },
      dropping: () => told++,
    });
    for (let index = 0; index < 1000; index++) send(String(index), 'x'.repeat(1000));
    expect(told).toBe(0);
    await until(() => told === 1, 'the word that messages are dropped');
    const server = await serve(endpoint);
    await until(() => {
      send('after');
      return server.texts(0).some(([name]) => name === 'after');
    }, 'a message that was written when there was room again');
    const held = server.texts(0).filter(([name]) => name !== 'after');
    expect(held.length).toBeGreaterThan(10);
    expect(held.length).toBeLessThan(101);
    expect(held.map(([name]) => name)).toEqual(held.map((_, index) => String(index)));
    expect(told).toBe(1);
  });

  it('says how much output waits, and when some has left', async () => {
    const endpoint = await vacant();
    const { link, events, send } = dial(endpoint);
    for (let index = 0; index < 100; index++) send('x'.repeat(10_000));
    expect(link.waitingBytes).toBeGreaterThanOrEqual(1_000_000);
    await serve(endpoint);
    await until(() => events.writes > 0 && link.waitingBytes === 0, 'the word that all has left');
  });

  it('gives output that waits time to leave when it is closed', async () => {
    const server = await serve();
    const { link, send } = dial(server.endpoint);
    for (let index = 0; index < 300; index++) send(String(index), 'x'.repeat(2000));
    await Promise.all([link.close(60_000), link.close(60_000)]);
    await server.untilMessages(300);
  });

  it('tells nothing and takes nothing after close, also where nobody listens', async () => {
    const { link, events, send } = dial(await vacant());
    send('never');
    await link.close(20);
    send('never');
    await link.close(0);
    expect(events.told).toEqual([]);
  });

  it('that is closed within an event tells nothing more', async () => {
    const server = await serve();
    const { link, events, send } = dial(server.endpoint);
    let closed: Promise<void> | undefined;
    events.message = () => {
      events.told.push('message');
      closed ??= link.close(0);
    };
    for (let index = 0; index < 50; index++) send('x');
    await until(() => closed !== undefined, 'the first message');
    await closed;
    expect(events.told).toEqual(['connected', 'message']);
  });

  it.each([
    'http://127.0.0.1:1',
    'tcp://127.0.0.1',
    'tcp://127.0.0.1:0',
    'tcp://*:5555',
    'ipc://',
    '',
  ])('refuses to dial %p', (endpoint) => {
    let code: string | undefined;
    try {
      dial(endpoint);
    } catch (error) {
      code = codeOf(error);
    }
    expect(code).toBe('ERR_MDP_ENDPOINT');
  });
}
