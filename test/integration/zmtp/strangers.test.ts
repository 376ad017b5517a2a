import { setTimeout as delay } from 'node:timers/promises';

import type { RouterLimits } from '../../../src/zmtp/port.js';
import { FACTORY, Server } from '../../support/transport-fixture.js';
import { DealerPeer } from '../../support/transport-peers.js';
import { until } from '../../support/until.js';
import {
  commandFrame,
  frame,
  greetingOf,
  HANDSHAKE,
  LONG,
  message,
  MORE,
  property,
  ready,
} from '../../unit/zmtp/wire.js';
import { destroySockets, RawSocket } from '../../support/raw-socket.js';

const open: (() => unknown)[] = [];

/** A ROUTER that echoes, and an honest libzmq peer beside the strangers. */
class Hosts {
  readonly server: Server;
  readonly honest: DealerPeer;
  #asked = 0;

  private constructor(server: Server) {
    this.server = server;
    this.honest = new DealerPeer(server.endpoint).read();
    open.push(() => this.honest.close());
  }

  static async invite(limits: Partial<RouterLimits> = {}): Promise<Hosts> {
    const server = await Server.open(FACTORY, ['tcp://127.0.0.1:0'], { limits });
    open.push(() => server.transport.close(0));
    server.answer = (peer, frames) => {
      if (frames.count > 1) return;
      server.send(peer, frames.copy(0));
      server.transport.flush();
    };
    const hosts = new Hosts(server);
    await hosts.served();
    return hosts;
  }

  async served(): Promise<void> {
    const count = this.honest.received.length;
    await this.honest.send(`honest ${this.#asked++}`);
    await until(() => this.honest.received.length > count, 'an answer to the honest one');
  }

  stranger(): RawSocket {
    return new RawSocket(this.server.endpoint);
  }

  async rejected(kind: string, reason: RegExp, count = 1): Promise<void> {
    const { rejections } = this.server;
    await until(
      () =>
        rejections.filter((one) => one.kind === kind && reason.test(one.reason)).length >= count,
      `${count} × ${kind} ${reason} in ${JSON.stringify(rejections)}`,
    );
  }

  /** The honest peer was connected throughout. */
  async unharmed(): Promise<void> {
    await this.served();
    expect(this.server.told.filter((line) => line === 'disconnected 0')).toEqual([]);
  }
}

const NOT_ZMTP: readonly (readonly [string, Buffer, string, RegExp])[] = [
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'greeting', /no signature/],
  ['TLS', Buffer.from('16030102000100', 'hex'), 'greeting', /no signature/],
  ['zeros', Buffer.alloc(100_000), 'greeting', /no signature/],
  ['ones', Buffer.alloc(100_000, 0xff), 'mechanism', /the peer uses \?{20}/],
  ['ZMTP 1.0', Buffer.from('0100', 'hex'), 'greeting', /no signature/],
  ['ZMTP 1.0 with a long identity', Buffer.from('ff000000000000010000', 'hex'), 'greeting', /no s/],
  [
    'ZMTP 1.0 that says so',
    Buffer.from('ff00000000000000017f00', 'hex'),
    'greeting',
    /ZMTP 1.0 is/,
  ],
  ['PUB of ZMTP 2.0', Buffer.from('ff00000000000000017f01010000', 'hex'), 'handshake', /to a PUB/],
  ['CURVE', greetingOf({ mechanism: 'CURVE' }), 'mechanism', /uses CURVE, this side NULL/],
  ['PLAIN', greetingOf({ mechanism: 'PLAIN' }), 'mechanism', /uses PLAIN, this side NULL/],
  ['a message first', Buffer.concat([greetingOf(), message('x')]), 'handshake', /no command/],
  [
    'a PUB',
    Buffer.concat([greetingOf(), ready(property('Socket-Type', 'PUB'))]),
    'handshake',
    /does not talk to a PUB/,
  ],
  [
    'an identity as this side assigns it',
    Buffer.concat([
      greetingOf(),
      ready(property('Socket-Type', 'DEALER'), property('Identity', '\0abcd')),
    ]),
    'handshake',
    /one that a ROUTER assigns/,
  ],
];

const BROKEN_LATER: readonly (readonly [string, Buffer, string, RegExp])[] = [
  ['unknown flags', Buffer.from([0x80, 1, 0]), 'protocol', /unknown frame flags/],
  ['ERROR', commandFrame('ERROR', '\0'), 'protocol', /ERROR/],
  ['a malformed PING', commandFrame('PING', ''), 'protocol', /malformed PING/],
  [
    'a flood of PINGs',
    Buffer.concat(Array.from({ length: 1000 }, () => commandFrame('PING', '\0\0'))),
    'protocol',
    /too many commands/,
  ],
];

describe('connections to a ROUTER, beside an honest one', () => {
  afterEach(async () => {
    destroySockets();
    for (const close of open.splice(0)) await close();
  });

  it.each(NOT_ZMTP)('of %s are ended for that reason', async (_, bytes, kind, reason) => {
    const hosts = await Hosts.invite();
    const stranger = hosts.stranger().write(bytes);
    await stranger.closed();
    await hosts.rejected(kind, reason);
    expect(hosts.server.rejections).toHaveLength(1);
    expect(hosts.server.count('connected')).toBe(1);
    await hosts.unharmed();
  });

  it.each(BROKEN_LATER)('that send %s as peers are ended', async (_, bytes, kind, reason) => {
    const hosts = await Hosts.invite();
    const stranger = await hosts.stranger().shakeHands();
    stranger.write(bytes);
    await stranger.closed();
    await hosts.rejected(kind, reason);
    await hosts.server.untilTold('disconnected');
    expect(hosts.server.rejections).toHaveLength(1);
    await hosts.unharmed();
  });

  it('that announce 2^63 bytes, or endless frames, are ended', async () => {
    const hosts = await Hosts.invite();
    for (const bytes of [frame(LONG, '', 1n << 63n), Buffer.alloc(8000, Buffer.from([MORE, 0]))]) {
      const stranger = await hosts.stranger().shakeHands();
      stranger.write(bytes);
      await stranger.closed();
    }
    await hosts.rejected('too_large', /too long to be skipped$/, 2);
    await hosts.server.untilTold('disconnected', 2);
    await hosts.unharmed();
  });

  it('that stop in the greeting, the handshake, or drip, are ended in time', async () => {
    const hosts = await Hosts.invite();
    const stopped = [0, 5, 11, 64, 70].map((bytes) =>
      hosts.stranger().write(HANDSHAKE.subarray(0, bytes)),
    );
    const dripping = hosts.stranger();
    for (let at = 0; !dripping.isClosed && at < 64; at++) {
      dripping.write(greetingOf().subarray(at, at + 1));
      await delay(100);
    }
    await Promise.all([dripping, ...stopped].map((stranger) => stranger.closed()));
    await hosts.rejected('handshake', /took too long/, 6);
    expect(hosts.server.rejections).toHaveLength(6);
    await hosts.unharmed();
  });

  it('that speak ZMTP 2.0 get answers in it (15/ZMTP)', async () => {
    const hosts = await Hosts.invite();
    const stranger = await hosts.stranger().connected();
    // As JeroMQ 0.3 does, which waits for each step of the other side.
    stranger.write(Buffer.from('ff00000000000000017f', 'hex'));
    await until(() => stranger.received.length === 11, 'a signature');
    stranger.write(Buffer.from('0105', 'hex'));
    await until(() => stranger.received.length === 14, 'type and identity');
    stranger.write(Buffer.from([0, 0]));
    stranger.write(message('hello'));
    await until(() => stranger.received.length === 14 + 7, 'an answer');
    const greeting = Buffer.from('ff00000000000000007f03060000', 'hex');
    expect(stranger.received).toEqual(Buffer.concat([greeting, message('hello')]));
    await hosts.unharmed();
  });

  it('that are silent for longer than the TTL of their PING are ended', async () => {
    const hosts = await Hosts.invite();
    const stranger = await hosts.stranger().shakeHands();
    stranger.write(commandFrame('PING', '\0\x01'));
    await stranger.closed();
    await hosts.rejected('silent', /TTL of its PING/);
    await hosts.server.untilTold('disconnected');
    expect(hosts.server.rejections).toHaveLength(1);
    await hosts.unharmed();
  });

  it('that leave in the middle of something are counted; those that said nothing are not', async () => {
    const hosts = await Hosts.invite();
    (await hosts.stranger().connected()).socket.end();
    (await hosts.stranger().connected()).socket.resetAndDestroy();
    const leaving = [HANDSHAKE.subarray(0, 20), HANDSHAKE.subarray(0, 64)];
    for (const [index, bytes] of leaving.entries()) {
      const stranger = await hosts.stranger().write(bytes).connected();
      await until(() => stranger.received.length > 11 * index, 'an answer');
      stranger.socket.end();
    }
    for (const way of ['reset', 'half-closed']) {
      const stranger = await hosts.stranger().shakeHands();
      stranger.write(message(way, 'rest').subarray(0, -2));
      stranger.write(Buffer.alloc(0));
      await delay(20);
      if (way === 'reset') stranger.socket.resetAndDestroy();
      else stranger.socket.end();
      await stranger.closed();
    }
    await hosts.rejected('handshake_cut', /disconnected in the middle of its handshake/, 2);
    await hosts.rejected('cut', /disconnected in the middle of a message/, 2);
    await hosts.server.untilTold('disconnected', 2);
    expect(hosts.server.rejections).toHaveLength(4);
    await hosts.unharmed();
  });

  it('that are half closed are ended, whatever they leave unread', async () => {
    const hosts = await Hosts.invite();
    const stranger = new RawSocket(hosts.server.endpoint, { allowHalfOpen: true });
    await stranger.shakeHands();
    stranger.write(message('hello'));
    const peer = await hosts.server.peerOf('hello');
    stranger.socket.pause();
    for (let index = 0; index < 100; index++) hosts.server.send(peer, Buffer.alloc(100_000));
    hosts.server.transport.flush();
    stranger.socket.end();
    await hosts.server.untilTold(`disconnected ${peer}`);
    await hosts.unharmed();
  });

  it('that claim a routing id in use are ended; it is free again once its owner leaves', async () => {
    const hosts = await Hosts.invite();
    const pinged = Buffer.from('\x04PING', 'latin1');
    const named = Buffer.concat([
      greetingOf(),
      ready(property('Socket-Type', 'DEALER'), property('Identity', 'named')),
    ]);
    const owner = await hosts.stranger().shakeHands(named);
    const thief = hosts.stranger().write(named);
    await until(() => owner.received.includes(pinged), 'a PING to its owner');
    owner.write(commandFrame('PONG'));
    await thief.closed();
    await hosts.rejected('identity', /another peer/);
    owner.socket.end();
    await hosts.server.untilTold('disconnected', 1);
    await hosts.stranger().shakeHands(named);
    await hosts.server.untilTold('connected', 3);
    await hosts.unharmed();
  });

  it('that hold many incomplete messages are ended, most first; the honest goes on', async () => {
    const hosts = await Hosts.invite({ receiveBytesMax: 4 << 20 });
    const half = frame(0, Buffer.alloc(900_000), 2_000_000n);
    for (let count = 0; count < 12; count++) {
      const stranger = await hosts.stranger().shakeHands();
      stranger.write(half);
    }
    await hosts.rejected('incomplete', /incomplete messages/, 4);
    await hosts.honest.send(Buffer.alloc(300_000, 7));
    await until(() => hosts.honest.received.some(([one]) => one?.length === 300_000), 'its echo');
    await hosts.unharmed();
  });

  it('over the limit are accepted and closed at once, until another one leaves', async () => {
    const hosts = await Hosts.invite({ connectionsMax: 4 });
    const there = [];
    for (let count = 0; count < 3; count++) there.push(await hosts.stranger().shakeHands());
    const late = await hosts.stranger().connected();
    await late.closed();
    await hosts.rejected('connections', /^limits.connections is reached$/);
    expect(hosts.server.rejections[0]?.from).toEqual({ address: '127.0.0.1', key: null });
    await hosts.unharmed();
    there[0]?.socket.destroy();
    await until(() => hosts.server.count('disconnected') === 1, 'one to leave');
    await hosts.stranger().shakeHands();
    await hosts.unharmed();
  });

  it('are refused beyond the share of their address; those of another address are not', async () => {
    const hosts = await Hosts.invite({ connectionsPerIdentityMax: 3 });
    for (let count = 0; count < 2; count++) await hosts.stranger().shakeHands();
    const late = await hosts.stranger().connected();
    await late.closed();
    await hosts.rejected('connections', /limits.perPeer.connections is reached/);
    const other = new RawSocket(hosts.server.endpoint, { localAddress: '127.0.0.2' });
    await other.shakeHands();
    await hosts.unharmed();
  });

  it('that idle in the handshake by the thousand keep nobody out', async () => {
    const hosts = await Hosts.invite({ connectionsMax: 5000, connectionsPerIdentityMax: 5000 });
    for (let count = 0; count < 1500; count++) hosts.stranger();
    // Like every libzmq peer, it dials again after a refusal.
    const late = new DealerPeer(hosts.server.endpoint).read();
    open.push(() => late.close());
    await late.send('late');
    await until(() => late.received.length === 1, 'an answer to the late one');
    await hosts.unharmed();
  });

  it('that connect by the thousand and stay silent keep nobody out', async () => {
    const hosts = await Hosts.invite({ connectionsMax: 5000, connectionsPerIdentityMax: 5000 });
    for (let count = 0; count < 2500; count++) hosts.stranger();
    await hosts.stranger().shakeHands();
    await hosts.unharmed();
  });
});
