import { Holdings } from '../../../src/core/holdings.js';
import { freePieceBytes, giveBackUnused } from '../../../src/core/piece.js';
import type { Closing } from '../../../src/zmtp/port.js';
import { FACTORY, Server } from '../../support/transport-fixture.js';
import { until } from '../../support/until.js';
import { frame } from '../../unit/zmtp/wire.js';
import { destroySockets, RawSocket } from '../../support/raw-socket.js';

const OTHER = '127.0.0.2';

const open: (() => unknown)[] = [];

afterEach(async () => {
  destroySockets();
  for (const close of open.splice(0).reverse()) await close();
});

async function serve(options: Parameters<typeof Server.open>[2]): Promise<Server> {
  const server = await Server.open(FACTORY, ['tcp://127.0.0.1:0'], options);
  open.push(() => server.transport.close(0));
  return server;
}

describe('memory held for connections is counted by identity (D77):', () => {
  const KIB = 1024;

  it('output that is not read, until its connection is closed for it', async () => {
    const holdings = new Holdings();
    const server = await serve({ holdings, limits: { outputBytesMax: 64 << 20 } });
    const deaf = await new RawSocket(server.endpoint, { localAddress: OTHER }).shakeHands();
    deaf.socket.pause();
    const honest = await new RawSocket(server.endpoint).shakeHands();
    await server.untilTold('connected', 2);
    const peer = server.infos.findIndex(({ address }) => address === OTHER);
    for (let sent = 0; sent < 32; sent++) server.send(peer, Buffer.alloc(512 * KIB));
    server.transport.flush();
    const of = (identity: string): number =>
      [...holdings.accounts.values()].find((account) => account.identity === identity)?.output ?? 0;
    expect(of(`ip:${OTHER}`)).toBeGreaterThan(8 * 1024 * KIB);
    expect(of(`ip:${OTHER}`)).toBe(holdings.bytes - inputOf(holdings));
    holdings.limit = 1024;
    expect(holdings.worthClosing().map(({ identity }) => identity)).toEqual([`ip:${OTHER}`]);
    const closing = { which: 'all', kind: 'output', reason: 'its quota' } as const;
    expect(server.transport.closeLargest(`ip:${OTHER}`, { ...closing, which: 'workers' })).toBe(
      false,
    );
    expect(server.transport.closeLargest(`ip:${OTHER}`, closing)).toBe(true);
    await server.untilTold('disconnected');
    expect(of(`ip:${OTHER}`)).toBe(0);
    expect(server.rejections.map(({ kind, reason, from }) => [kind, reason, from.address])).toEqual(
      [['output', 'its quota', OTHER]],
    );
    expect(honest.isClosed).toBe(false);
  });

  it('small frames with the room that their chunks take', async () => {
    const holdings = new Holdings();
    const server = await serve({ holdings, limits: { outputBytesMax: 64 << 20 } });
    const deaf = await new RawSocket(server.endpoint).shakeHands();
    deaf.socket.pause();
    await server.untilTold('connected');
    for (let sent = 0; sent < 200_000; sent++) server.send(0, 'x'.repeat(60));
    server.transport.flush();
    const waiting = server.transport.waitingBytes(0);
    expect(waiting).toBe(200_000 * 62);
    const held = holdings.bytes - inputOf(holdings);
    expect(held).toBeGreaterThan(waiting);
    expect(held).toBeLessThan(waiting * 1.1);
  });

  it('large messages not at all once they were handled: what is kept free for the next ones is given back', async () => {
    const server = await serve({ limits: { messageBytesMax: 1 << 20 } });
    const peer = await new RawSocket(server.endpoint).shakeHands();
    await server.untilTold('connected');
    // What the files before this one left: nobody needs it.
    giveBackUnused();
    giveBackUnused();
    expect(freePieceBytes()).toBe(0);
    peer.socket.write(frame(0, Buffer.alloc(900_000, 'x')));
    await server.untilTold('message');
    expect(freePieceBytes()).toBeGreaterThan(0);
    await until(() => freePieceBytes() === 0, 'all is given back');
  });

  it('incomplete messages, until they are whole', async () => {
    const holdings = new Holdings();
    const server = await serve({ holdings });
    const slow = await new RawSocket(server.endpoint, { localAddress: OTHER }).shakeHands();
    slow.write(frame(0, Buffer.alloc(300 * KIB), BigInt(400 * KIB)));
    await until(() => inputOf(holdings) >= 300 * KIB, 'most of a message');
    holdings.limit = 1024;
    expect(holdings.worthClosing().map(({ identity }) => identity)).toEqual([`ip:${OTHER}`]);
    slow.write(Buffer.alloc(100 * KIB));
    await server.untilTold('message');
    await until(() => inputOf(holdings) < 10 * KIB, 'it to be let go');
    slow.socket.destroy();
    await server.untilTold('disconnected');
    expect([...holdings.accounts.values()]).toEqual([]);
  });

  it('and closed for them, also a worker, but not one that has none', async () => {
    const holdings = new Holdings();
    const server = await serve({ holdings });
    const idle = await new RawSocket(server.endpoint, { localAddress: OTHER }).shakeHands();
    idle.write(frame(0, 'x'.repeat(200)).subarray(0, 100));
    await until(() => inputOf(holdings) > 0, 'the beginning of a message');
    idle.write(frame(0, 'x'.repeat(200)).subarray(100));
    await server.untilTold('message');
    const worker = await new RawSocket(server.endpoint, { localAddress: OTHER }).shakeHands();
    await server.untilTold('connected', 2);
    expect(server.transport.takesRequest(1, 100)).toBe(true);
    worker.write(frame(0, Buffer.alloc(300 * KIB), BigInt(400 * KIB)));
    await until(() => inputOf(holdings) >= 300 * KIB, 'most of a message');
    const closing = { kind: 'memory', reason: 'its message' } as const;
    const close = (which: Closing['which']): boolean =>
      server.transport.closeLargest(`ip:${OTHER}`, { ...closing, which });
    expect([close('incomplete'), close('incomplete')]).toEqual([true, false]);
    await server.untilTold('disconnected 1');
    expect([worker.isClosed, idle.isClosed]).toEqual([true, false]);
  });
});

function inputOf(holdings: Holdings): number {
  return [...holdings.accounts.values()].reduce((sum, { input }) => sum + input, 0);
}
