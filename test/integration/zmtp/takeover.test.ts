import { destroySockets, RawSocket } from '../../support/raw-socket.js';
import { FACTORY, Server } from '../../support/transport-fixture.js';
import { DealerPeer } from '../../support/transport-peers.js';
import { until } from '../../support/until.js';
import { commandFrame, greetingOf, message, property, ready } from '../../unit/zmtp/wire.js';

/** Greeting and READY of a ROUTER. */
const HANDSHAKE_BYTES = 107;

const open: (() => unknown)[] = [];

afterEach(async () => {
  destroySockets();
  for (const close of open.splice(0).reverse()) await close();
});

/** @param minor 1: it knows PING */
function named(minor = 1): Buffer {
  const properties = [property('Socket-Type', 'DEALER'), property('Identity', 'me')];
  return Buffer.concat([greetingOf({ minor }), ready(...properties)]);
}

async function serve(): Promise<Server> {
  const server = await Server.open(FACTORY);
  open.push(() => server.transport.close(0));
  return server;
}

/** Completes its handshake, and then does nothing: it does not even answer a PING. */
async function frozen(server: Server, minor = 1): Promise<RawSocket> {
  const peer = await new RawSocket(server.endpoint).shakeHands(named(minor));
  await server.untilTold('connected');
  return peer;
}

async function newcomer(server: Server, text: string, localAddress?: string): Promise<RawSocket> {
  const peer = new RawSocket(server.endpoint, localAddress === undefined ? {} : { localAddress });
  await peer.shakeHands(named());
  return peer.write(message(text));
}

function pings({ received }: RawSocket): number {
  return received.toString('latin1').split('\x04PING').length - 1;
}

async function untilRefused(server: Server, count = 1): Promise<void> {
  const refused = (): number => server.rejections.filter(({ kind }) => kind === 'identity').length;
  await until(() => refused() >= count, `${count} refusals`);
}

describe('a routing id that a connection has (D102)', () => {
  it('passes to a newcomer from its address if it answers no PING; what that sent is read then', async () => {
    const server = await serve();
    const old = await frozen(server);
    const next = await newcomer(server, 'hello');
    await until(() => pings(old) === 1, 'a PING');
    // More than is read at once: it is not read on while it waits.
    for (let more = 0; more < 20; more++) next.write(message(Buffer.alloc(100_000, more)));
    await server.untilMessages(21);
    expect(server.told.slice(0, 4)).toEqual([
      'connected 0',
      'disconnected 0',
      'connected 0',
      'message 0',
    ]);
    expect(String(server.infos[0]?.routingId)).toBe('me');
    expect(server.texts(0)[0]).toEqual(['hello']);
    expect(server.messages.slice(1).map(({ frames }) => frames[0]?.[0])).toEqual(
      Array.from({ length: 20 }, (_, index) => index),
    );
    await old.closed();
    expect(server.rejections.map(({ kind }) => kind)).toEqual(['silent']);
  });

  it('stays with one that answers the PING, and the newcomer is refused at once', async () => {
    const server = await serve();
    const old = await frozen(server);
    const next = await newcomer(server, 'thief');
    await until(() => pings(old) === 1, 'a PING');
    old.write(commandFrame('PONG'));
    await next.closed();
    await untilRefused(server);
    old.write(message('still here'));
    expect(await server.peerOf('still here')).toBe(0);
    expect(server.told).toEqual(['connected 0', 'message 0']);
  });

  it('stays with one of which part of a message arrives', async () => {
    const server = await serve();
    const old = await frozen(server);
    const next = await newcomer(server, 'thief');
    await until(() => pings(old) === 1, 'a PING');
    old.write(message('whole').subarray(0, 1));
    await next.closed();
    expect(server.count('disconnected')).toBe(0);
  });

  it('stays with a libzmq peer that lives, whose program says nothing', async () => {
    const server = await serve();
    const honest = new DealerPeer(server.endpoint, 'me').read();
    open.push(() => honest.close());
    await honest.send('honest');
    expect(await server.peerOf('honest')).toBe(0);
    const next = await newcomer(server, 'thief');
    await next.closed();
    await untilRefused(server);
    await honest.send('still here');
    expect(await server.peerOf('still here')).toBe(0);
    expect(server.count('disconnected')).toBe(0);
  });

  it('is waited for by one of many newcomers, the last, and one PING is sent', async () => {
    const server = await serve();
    const old = await frozen(server);
    const others: RawSocket[] = [];
    for (let more = 0; more < 8; more++) others.push(await newcomer(server, 'more'));
    const last = await newcomer(server, 'last');
    await untilRefused(server, 8);
    for (const other of others) await other.closed();
    await server.peerOf('last');
    expect(last.isClosed).toBe(false);
    expect(pings(old)).toBe(1);
    expect(server.texts(0)).toEqual([['last']]);
  });

  it('is not that of a newcomer from another address, which causes no PING', async () => {
    const server = await serve();
    const old = await frozen(server);
    await newcomer(server, 'other', '127.0.0.2');
    expect(await server.peerOf('other')).toBe(1);
    expect(old.received.length).toBe(HANDSHAKE_BYTES);
    expect(server.count('disconnected')).toBe(0);
  });

  it('passes to a newcomer that waits as soon as the other connection ends', async () => {
    const server = await serve();
    const old = await frozen(server);
    await newcomer(server, 'hello');
    await until(() => pings(old) === 1, 'a PING');
    old.socket.resetAndDestroy();
    await server.peerOf('hello');
    expect(server.rejections.filter(({ kind }) => kind === 'silent')).toEqual([]);
  });

  it('is not kept for a newcomer that has left: it passes to the next', async () => {
    const server = await serve();
    const old = await frozen(server);
    const gone = await newcomer(server, 'gone');
    await until(() => pings(old) === 1, 'a PING');
    gone.socket.resetAndDestroy();
    await gone.closed();
    const next = await newcomer(server, 'next');
    await server.peerOf('next');
    expect([pings(old), next.isClosed, server.count('message')]).toEqual([1, false, 1]);
    expect(server.count('connected')).toBe(2);
  });

  it('passes to a newcomer that waits as soon as the broker ends the other connection', async () => {
    const server = await serve();
    const old = await frozen(server);
    await newcomer(server, 'hello');
    await until(() => pings(old) === 1, 'a PING');
    server.transport.disconnect(0);
    await server.peerOf('hello');
    expect(server.rejections).toEqual([]);
  });

  it('is free once a connection was ended, although its socket is still there', async () => {
    const server = await serve();
    const old = new RawSocket(server.endpoint, { allowHalfOpen: true });
    await old.shakeHands(named());
    await server.untilTold('connected');
    old.write(Buffer.from([0x80, 1, 0]));
    await until(() => server.rejections.length === 1, 'the end of a connection');
    expect(server.count('disconnected')).toBe(0);
    await newcomer(server, 'hello');
    expect(await server.peerOf('hello')).toBe(0);
    expect(pings(old)).toBe(0);
    expect(server.rejections.map(({ kind }) => kind)).toEqual(['protocol']);
  });

  it('stays with one that knows no PING while its host lives', async () => {
    const server = await serve();
    const old = await frozen(server, 0);
    const next = await newcomer(server, 'thief');
    await next.closed();
    await untilRefused(server);
    expect(server.count('disconnected')).toBe(0);
    expect(old.isClosed).toBe(false);
    old.write(message('still here'));
    await server.peerOf('still here');
  });

  it('leaves nothing behind when the router closes while a newcomer waits', async () => {
    const server = await serve();
    const old = await frozen(server);
    const next = await newcomer(server, 'hello');
    await until(() => pings(old) === 1, 'a PING');
    await server.transport.close(0);
    for (const peer of [old, next]) await peer.closed();
    expect(server.count('connected')).toBe(1);
    expect(server.count('message')).toBe(0);
  });
});
