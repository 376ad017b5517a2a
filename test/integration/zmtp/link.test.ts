import { createServer, type Server as TcpServer, type Socket } from 'node:net';

import { packedFirstFrames } from '../../../src/core/packed-first-frames.js';
import type { Link } from '../../../src/zmtp/link-port.js';
import { PeerNumbers, type TransportEvents } from '../../../src/zmtp/port.js';
import { loadSodium } from '../../../src/zmtp/curve/sodium.js';
import { dialZmtp } from '../../../src/zmtp/link.js';
import { openZmtpRouter } from '../../../src/zmtp/router/router.js';
import { FACTORY, LIMITS, LinkRecord, Server, writeAll } from '../../support/transport-fixture.js';
import { until } from '../../support/until.js';

const NOBODY: TransportEvents = {
  connected: () => undefined,
  message: () => undefined,
  oversized: () => undefined,
  outputFull: () => undefined,
  drained: () => undefined,
  disconnected: () => undefined,
  rejected: () => undefined,
};

const open: (() => unknown)[] = [];

function dial(endpoint: string, record: LinkRecord, routingId?: string): Link {
  const own = routingId === undefined ? {} : { routingId: Buffer.from(routingId) };
  const link = dialZmtp({ limits: LIMITS, ...own })(endpoint, record);
  open.push(() => link.close(0));
  return link;
}

async function serve(endpoint = 'tcp://127.0.0.1:0'): Promise<Server> {
  const server = await Server.open(FACTORY, [endpoint]);
  open.push(() => server.transport.close(0));
  server.answer = (peer, frames) => {
    server.send(peer, ...frames.copyFrom(0));
    server.transport.flush();
  };
  return server;
}

interface Listening {
  readonly endpoint: string;
  readonly server: TcpServer;
}

function listen(accept: (socket: Socket) => void): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    accept(socket);
  });
  open.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' ? address?.port : 0;
      resolve({ endpoint: `tcp://127.0.0.1:${port}`, server });
    });
  });
}

/** A greeting of ZMTP 3.1. */
function greetingOf(mechanism: string): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.set([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1]);
  bytes.write(mechanism, 12, 'latin1');
  return bytes;
}

/** Where the type of a socket of ZMTP 2.0 is, and all that precedes its messages, without a name. */
const [TYPE_AT, GREETING2_BYTES, TYPE_DEALER] = [11, 14, 5];

/**
 * A ROUTER of ZMTP 2.0 alone. It sends what it receives back.
 * @param isShy it says nothing to a greeting of ZMTP 3, as JeroMQ 0.3
 */
function router2(socket: Socket, isShy: boolean): void {
  let received: Buffer = Buffer.alloc(0);
  let hasGreeted = false;
  if (!isShy) socket.write(Buffer.from('ff00000000000000017f', 'hex'));
  socket.on('data', (bytes) => {
    received = Buffer.concat([received, bytes]);
    if (received.length > TYPE_AT && received[TYPE_AT] !== TYPE_DEALER) {
      socket.end();
      return;
    }
    if (!hasGreeted && received.length >= TYPE_AT - 1) {
      hasGreeted = true;
      const signature = isShy ? 'ff00000000000000017f' : '';
      socket.write(Buffer.from(`${signature}01060000`, 'hex'));
    }
    if (received.length > GREETING2_BYTES) {
      socket.write(received.subarray(GREETING2_BYTES));
      received = received.subarray(0, GREETING2_BYTES);
    }
  });
}

/** Relays all bytes between its clients and `target`, until it swallows them. */
class Relay {
  endpoint = '';
  swallows = false;
  connections = 0;

  static async to(target: string): Promise<Relay> {
    const relay = new Relay();
    const port = Number(target.split(':').at(-1));
    const { connect } = await import('node:net');
    const { endpoint } = await listen((near) => {
      relay.connections++;
      const far = connect(port, '127.0.0.1');
      far.on('error', () => undefined);
      const pass = (from: Socket, to: Socket): void => {
        from.on('data', (bytes) => {
          if (!relay.swallows) to.write(bytes);
        });
        from.on('close', () => {
          if (!relay.swallows) to.destroy();
        });
      };
      pass(near, far);
      pass(far, near);
      open.push(() => far.destroy());
    });
    relay.endpoint = endpoint;
    return relay;
  }
}

function ask(link: Link, text: string): void {
  writeAll((bytes, start, end, more) => link.write(bytes, start, end, more), [text]);
}

describe('a link', () => {
  afterEach(async () => {
    for (const close of open.splice(0)) await close();
  });

  it('sends packed heads as the frames that they are, before it is connected and after', async () => {
    const server = await serve();
    const record = new LinkRecord();
    const link = dial(server.endpoint, record);
    const head = packedFirstFrames([Buffer.from('id'), Buffer.alloc(0), Buffer.alloc(300, 'h')]);
    const send = (text: string): void => {
      link.writeHead?.(head, 0, head.length);
      ask(link, text);
    };
    send('waiting');
    const long = 'h'.repeat(300);
    await record.untilTold(`message id||${long}|waiting`);
    send('sent');
    await record.untilTold(`message id||${long}|sent`);
    // The link has its own copy: the head of the next message may be written over it.
    send('first');
    head.write('no', 2);
    send('second');
    await record.untilTold(`message no||${long}|second`);
    expect(record.told).toContain(`message id||${long}|first`);
  });

  it('that is told not to read keeps its connection, though it hears no answer to a PING', async () => {
    const { transport, endpoints } = await openZmtpRouter({
      listeners: [{ endpoint: 'tcp://127.0.0.1:0', index: 0, socketType: 'PUB' }],
      limits: LIMITS,
      peers: new PeerNumbers(),
      events: {
        ...NOBODY,
        subscription: (peer, topic) => {
          writeAll(
            (bytes, start, end, more) => transport.write(peer, bytes, start, end, more),
            [topic],
          );
          transport.flush();
        },
      },
    });
    open.push(() => transport.close(0));
    const record = new LinkRecord();
    const pings = { pingAfterMs: 5, pingCheckMs: 5, unansweredMax: 2 };
    const link = dialZmtp({
      limits: LIMITS,
      subscriptions: [Buffer.from('topic')],
      patience: { reconnectMsMin: 10, reconnectMsMax: 10, ...pings },
    })(endpoints[0] ?? '', record);
    open.push(() => link.close(0));
    link.setReading?.(false);
    await record.untilTold('connected');
    // Many times as long as it takes to give up a connection.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(record.told).toEqual(['connected']);
    link.setReading?.(true);
    await record.untilTold('message topic');
    expect(record.told).toEqual(['connected', 'message topic']);
  });

  it('leaves a broker that answers no PING or never greets, and connects to the next (37/ZMTP)', async () => {
    const server = await serve();
    const relay = await Relay.to(server.endpoint);
    const [blackholed, healthy, ungreeted] = [new LinkRecord(), new LinkRecord(), new LinkRecord()];
    const link = dial(relay.endpoint, blackholed);
    dial(server.endpoint, healthy);
    let mute = 0;
    const { endpoint } = await listen(() => {
      mute++;
    });
    dial(endpoint, ungreeted);
    await blackholed.untilTold('connected');
    await healthy.untilTold('connected');
    relay.swallows = true;
    await until(() => mute >= 2, 'a second dial of one that never greets');
    expect(ungreeted.told).toEqual([]);
    await until(() => blackholed.told.includes('disconnected'), 'the end of the blackholed');
    relay.swallows = false;
    await blackholed.untilTold('connected', 2);
    ask(link, 'again');
    await blackholed.untilTold('message again');
    // A silent connection that answers PINGs stayed.
    expect(healthy.told).toEqual(['connected']);
  });

  it('of a writer resets a connection that answers no PING: nothing of it arrives late (D121)', async () => {
    const ready = Buffer.from('\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB', 'latin1');
    const accepted: Socket[] = [];
    const { endpoint } = await listen((socket) => {
      accepted.push(socket);
      socket.write(Buffer.concat([greetingOf('NULL'), ready]));
    });
    const record = new LinkRecord();
    const pings = { pingAfterMs: 5, pingCheckMs: 50, unansweredMax: 2 };
    const link = dialZmtp({
      limits: LIMITS,
      socketType: 'PUB',
      patience: { reconnectMsMin: 60_000, reconnectMsMax: 60_000, ...pings },
    })(endpoint, record);
    open.push(() => link.close(0));
    await record.untilTold('connected');
    const [peer] = accepted;
    let received = 0;
    peer?.on('data', ({ length }: Buffer) => {
      received += length;
    });
    // (Of Node.js 22 it gets no error: it looks as if the other side had closed it.)
    peer?.on('error', () => undefined);
    peer?.pause();
    const body = Buffer.alloc(65_536);
    for (let left = 256; left > 0; left--) link.write(body, 0, body.length, false);
    await record.untilTold('disconnected');
    peer?.resume();
    await until(() => peer?.closed === true, 'the end of the connection at the other side');
    // What this side had taken already, and not the megabytes that the kernel of the other side held.
    expect(received).toBeLessThan(2 ** 20);
  });

  it('backs off, with random pauses, from a broker that refuses it', async () => {
    const waits: number[][] = [[], []];
    await Promise.all(
      waits.map(async (own) => {
        let last = 0;
        const { endpoint } = await listen((socket) => {
          const now = performance.now();
          if (last > 0) own.push(now - last);
          last = now;
          socket.destroy();
        });
        dial(endpoint, new LinkRecord());
        await until(() => own.length >= 5, 'six dials');
      }),
    );
    // The fifth wait is 800 to 1,600 ms, the first 50 to 100. A busy machine makes each longer only.
    const [first, fifth] = [0, 4].map((at) => Math.min(...waits.map((own) => own[at] ?? 0)));
    expect(fifth).toBeGreaterThan(790);
    expect(first).toBeLessThan(fifth ?? 0);
    expect(waits[0]?.map(Math.round)).not.toEqual(waits[1]?.map(Math.round));
  });

  it('that is refused after the handshake pauses before it dials again', async () => {
    const server = await serve();
    const [owner, second] = [new LinkRecord(), new LinkRecord()];
    dial(server.endpoint, owner, 'same');
    await owner.untilTold('connected');
    dial(server.endpoint, second, 'same');
    const refusedAt: number[] = [];
    server.rejected = (_listener, kind) => {
      if (kind === 'identity') refusedAt.push(performance.now());
    };
    await until(() => refusedAt.length >= 5, 'five refusals');
    expect((refusedAt[4] ?? 0) - (refusedAt[3] ?? 0)).toBeGreaterThan(100);
    expect(owner.told).toEqual(['connected']);
  });

  it('survives what no ROUTER would send, and dials again', async () => {
    let count = 0;
    const { endpoint } = await listen((socket) => {
      socket.write(
        count++ % 2 === 0 ? 'HTTP/1.1 400 Bad Request\r\n\r\n' : Buffer.alloc(99_999, 255),
      );
    });
    const record = new LinkRecord();
    dial(endpoint, record);
    await until(() => count >= 4, 'four dials');
    expect(record.told).toEqual([]);
  });

  it('closes within its linger whatever the other side does', async () => {
    const { endpoint } = await listen(() => undefined);
    for (const lingerMs of [0, 1, 2, 3, 5, 8, 13, 50]) {
      const link = dial(endpoint, new LinkRecord());
      ask(link, 'waits');
      await link.close(lingerMs);
    }
  });

  it('sends a message begun before the connection was up, in order', async () => {
    const server = await serve();
    const record = new LinkRecord();
    const link = dial(server.endpoint, record);
    ask(link, 'first');
    const half = Buffer.from('half');
    link.write(half, 0, half.length, true);
    await record.untilTold('connected');
    link.write(half, 0, half.length, false);
    ask(link, 'last');
    await record.untilTold('message last');
    expect(record.told).toEqual([
      'connected',
      'message first',
      'message half|half',
      'message last',
    ]);
  });

  it('reports at each try that nobody listens, and the connection once somebody does', async () => {
    const { endpoint, server } = await listen(() => undefined);
    server.close();
    const told: string[] = [];
    const record = new LinkRecord();
    const events = {
      connected: () => {
        record.connected();
        told.push('connected');
      },
      message: () => undefined,
      disconnected: () => told.push('disconnected'),
      unreachable: (_isKeyRefused: boolean, why: string) => told.push(why),
    };
    const link = dialZmtp({ limits: LIMITS })(endpoint, events);
    open.push(() => link.close(0));
    await until(() => told.length >= 2, 'the second try');
    const listener = { endpoint, index: 0 };
    const late = await openZmtpRouter({
      listeners: [listener],
      limits: LIMITS,
      peers: new PeerNumbers(),
      events: NOBODY,
    });
    open.push(() => late.transport.close(0));
    await record.untilTold('connected');
    expect(new Set(told.slice(0, -1))).toEqual(new Set(['connection refused']));
    expect(told.at(-1)).toBe('connected');
  });

  it.each([
    ['that says so', false],
    ['that says nothing to a greeting of ZMTP 3', true],
  ])('connects to a ROUTER of ZMTP 2.0 %s, and to one of ZMTP 3 after it', async (_, isShy) => {
    const accepted: Socket[] = [];
    const { endpoint, server } = await listen((socket) => {
      accepted.push(socket);
      router2(socket, isShy);
    });
    const record = new LinkRecord();
    const link = dial(endpoint, record);
    ask(link, 'waiting');
    await record.untilTold('message waiting');
    expect([accepted.length, record.failures]).toEqual([2, 1]);
    ask(link, 'x'.repeat(300));
    await record.untilTold(`message ${'x'.repeat(300)}`);
    expect(link.ping?.()).toBe(false);
    // On the next connection, too, it knows which greeting it must send.
    for (const socket of accepted) socket.destroy();
    await record.untilTold('connected', 2);
    expect([accepted.length, record.failures]).toEqual([3, 1]);
    server.close();
    for (const socket of accepted) socket.destroy();
    await record.untilTold('disconnected', 2);
    await serve(endpoint);
    ask(link, 'again');
    await record.untilTold('message again');
  });

  it.each<readonly [string, (socket: Socket) => void]>([
    ['not ZMTP 3: no signature', (socket) => socket.write('SSH-2.0-OpenSSH_9.6\r\n')],
    [
      'not ZMTP 3: it is the port of an HTTP server',
      (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n'),
    ],
    ['the peer uses PLAIN, this side NULL', (socket) => socket.write(greetingOf('PLAIN'))],
    ['closed during the ZMTP handshake', (socket) => socket.once('data', () => socket.end())],
  ])('says why the other side is no broker: %s', async (expected, accept) => {
    const { endpoint } = await listen(accept);
    const told: string[] = [];
    const link = dialZmtp({ limits: LIMITS })(endpoint, {
      connected: () => told.push('connected'),
      message: () => undefined,
      disconnected: () => told.push('disconnected'),
      unreachable: (_isKeyRefused, why) => told.push(why),
    });
    open.push(() => link.close(0));
    await until(() => told.length > 0, 'the failure');
    expect(told[0]).toBe(expected);
  });

  it('with keys, says which to check', async () => {
    const { endpoint } = await listen((socket) => socket.once('data', () => socket.end()));
    const { publicKey, secretKey } = (await loadSodium()).keyPair();
    const told: string[] = [];
    const curve = { serverKey: publicKey, publicKey, secretKey };
    const link = dialZmtp({ limits: LIMITS, curve })(endpoint, {
      connected: () => undefined,
      message: () => undefined,
      disconnected: () => undefined,
      unreachable: (_isKeyRefused, why) => told.push(why),
    });
    open.push(() => link.close(0));
    await until(() => told.length > 0, 'the failure');
    expect(told[0]).toBe(
      "closed during the ZMTP handshake: is the given public key this broker's, and does the broker admit the key of this client?",
    );
  });

  it('says that there is no socket at an ipc endpoint', async () => {
    const told: string[] = [];
    const link = dialZmtp({ limits: LIMITS })('ipc:///nowhere/broker.sock', {
      connected: () => undefined,
      message: () => undefined,
      disconnected: () => undefined,
      unreachable: (_isKeyRefused, why) => told.push(why),
    });
    open.push(() => link.close(0));
    await until(() => told.length > 0, 'the failure');
    expect(told[0]).toBe('no such socket');
  });

  it('dials from the source address in its endpoint', async () => {
    const sources: (string | undefined)[] = [];
    const { endpoint } = await listen((socket) => {
      sources.push(socket.remoteAddress);
    });
    dial(endpoint.replace('tcp://', 'tcp://127.0.0.9:0;'), new LinkRecord());
    await until(() => sources.length > 0, 'a dial');
    expect(sources[0]).toBe('127.0.0.9');
  });
});
