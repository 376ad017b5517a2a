import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { Frames } from '../../src/core/frames.js';
import { pack, packedBytes } from '../../src/core/packed.js';
import { PeerNumbers, type RouterLimits } from '../../src/zmtp/port.js';
import { LIMITS, Server } from './transport-fixture.js';
import type { TransportFactory } from './transport-fixture.js';
import { BytePeer, DealerPeer, requestPeer } from './transport-peers.js';
import { until } from './until.js';

const CHUNK = Buffer.alloc(64 << 10, 'x');
/** More than a pipe, the kernel's buffers and `outputBytesMax` can hold together. */
const CHUNKS_MAX = 4000;
/** By then even slow threads have taken as much as a peer that does not read can be sent. */
const SETTLED_MS = 100;

/** Messages sent to a peer that does not read. */
interface Filled {
  readonly written: number;
  readonly over: readonly number[];
}

const NOTHING: Filled = { written: 0, over: [] };

/** Messages, back-pressure and loss, from the view of a ROUTER. */
export function describeRouter(factory: TransportFactory): void {
  const closers: (() => unknown)[] = [];

  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function serve(options?: {
    limits?: Partial<RouterLimits>;
    peers?: PeerNumbers;
  }): Promise<Server> {
    const server = await Server.open(factory, undefined, options);
    closers.push(() => server.transport.close(0));
    return server;
  }

  function dealer(server: Server, routingId?: string): DealerPeer {
    const peer = new DealerPeer(server.endpoint, routingId);
    closers.push(() => peer.close());
    return peer;
  }

  function bytePeer(server: Server): BytePeer {
    const peer = new BytePeer(server.endpoint);
    closers.push(() => peer.socket.destroy());
    return peer;
  }

  async function readyBytePeer(server: Server, routingId?: string): Promise<BytePeer> {
    const peer = bytePeer(server);
    peer.greet();
    await until(() => peer.bytesRead >= 64, 'the greeting of the other side');
    peer.ready(routingId);
    return peer;
  }

  /** Proves that another peer is served: a request and its answer. */
  async function expectServed(server: Server, name: string): Promise<void> {
    const peer = dealer(server).read();
    await peer.send(name);
    server.send(await server.peerOf(name), 'served', name);
    server.transport.flush();
    await until(() => peer.received.length === 1, `an answer to ${name}`);
    expect(peer.texts()).toEqual([['served', name]]);
  }

  function isFull(server: Server, peer: number): boolean {
    return server.count(`full ${peer}`) > server.count(`drained ${peer}`);
  }

  /**
   * Writes to a peer that does not read until it is reported full, and stays so.
   * @returns how many messages were written, and those that did not fit: one for each time
   */
  async function fill(server: Server, peer: number, filled: Filled = NOTHING): Promise<Filled> {
    let { written } = filled;
    const over = [...filled.over];
    do {
      while (!isFull(server, peer) && written < CHUNKS_MAX) {
        server.send(peer, String(written++), CHUNK);
        server.transport.flush();
        await turn();
      }
      over.push(written - 1);
      await pause(SETTLED_MS);
    } while (!isFull(server, peer) && written < CHUNKS_MAX);
    expect(isFull(server, peer)).toBe(true);
    return { written, over };
  }

  /** Waits until no more back-pressure events arrive. */
  function expectOver(server: Server, peer: number): void {
    const after = server.told.slice(server.told.indexOf(`disconnected ${peer}`));
    expect(after.filter((event) => /^(full|drained)/.test(event))).toEqual([]);
  }

  describe('peers', () => {
    it('are connected before their first message, with the listener and a made routing id', async () => {
      const server = await serve();
      await dealer(server).send('hello');
      await server.untilMessages(1);
      expect(server.told).toEqual(['connected 0', 'message 0']);
      expect(server.infos[0]).toMatchObject({ listener: 0, ownRoutingId: false });
      expect(server.infos[0]?.routingId.length).toBeGreaterThan(0);
    });

    it('keep a routing id of their own, also over a reconnect (D26)', async () => {
      const server = await serve();
      const first = dealer(server, 'me');
      await first.send('first');
      const before = await server.peerOf('first');
      first.close();
      await server.untilTold(`disconnected ${before}`);
      await dealer(server, 'me').send('second');
      const after = await server.peerOf('second');
      for (const peer of [before, after]) {
        expect(server.infos[peer]).toMatchObject({ ownRoutingId: true });
        expect(String(server.infos[peer]?.routingId)).toBe('me');
      }
      expect(server.count('connected')).toBe(2);
    });

    it('cannot take the place of one that lives by choosing its routing id', async () => {
      const server = await serve();
      const honest = dealer(server, 'me').read();
      await honest.send('honest');
      const peer = await server.peerOf('honest');
      const thief = await readyBytePeer(server, 'me');
      thief.send('thief', 'thief');
      await expectServed(server, 'other');
      const greetingAndReady = thief.bytesRead;
      server.send(peer, 'for the honest one');
      server.transport.flush();
      await until(() => honest.received.length === 1, 'the message');
      await honest.send('still here');
      expect(await server.peerOf('still here')).toBe(peer);
      expect(server.infos.filter((info) => String(info.routingId) === 'me')).toHaveLength(1);
      expect(thief.bytesRead).toBe(greetingAndReady);
    });

    it('that are killed are told as disconnected, and their number is given again', async () => {
      const server = await serve();
      const killed = await readyBytePeer(server);
      killed.send('soon dead');
      const peer = await server.peerOf('soon dead');
      killed.kill();
      await server.untilTold(`disconnected ${peer}`);
      await dealer(server).send('next');
      expect(await server.peerOf('next')).toBe(peer);
    });

    it('have numbers of their own over two transports that share them', async () => {
      const peers = new PeerNumbers();
      const [one, two] = [await serve({ peers }), await serve({ peers })];
      await dealer(one).send('one');
      await dealer(two).send('two');
      expect(await one.peerOf('one')).not.toBe(await two.peerOf('two'));
    });

    it('are disconnected on demand, never within the call, and may come again', async () => {
      const server = await serve();
      const peer = dealer(server);
      await peer.send('one');
      const id = await server.peerOf('one');
      server.transport.disconnect(id);
      server.transport.disconnect(id);
      server.send(id, 'thrown away');
      server.transport.flush();
      expect(server.count('disconnected')).toBe(0);
      await server.untilTold(`disconnected ${id}`);
      for (let tries = 0; server.count('connected') < 2; tries++) {
        await peer.send('again');
        await until(() => server.count('connected') === 2 || tries < 100, 'a new connection');
        await turn();
      }
      expect(server.count('disconnected')).toBe(1);
    });

    it('that are disconnected in the middle of a batch send nothing more', async () => {
      const server = await serve();
      let within = 0;
      server.answer = (id) => {
        if (server.count('message') > 1) return;
        server.transport.disconnect(id);
        within = server.count('disconnected');
      };
      await dealer(server).send('one');
      await server.untilTold('disconnected');
      expect(within).toBe(0);
      expect(server.told).toEqual(['connected 0', 'message 0', 'disconnected 0']);
    });
  });

  describe('messages', () => {
    it('of a batch arrive in order and whole, each way', async () => {
      const server = await serve();
      server.answer = (peer, frames) => {
        server.transport.write(peer, frames.buffer(0), frames.start(0), frames.end(0), false);
        server.transport.flush();
      };
      const numbers = Array.from({ length: 2000 }, (_, index) => [String(index)]);
      const peers = [dealer(server).read(), dealer(server).read()];
      for (const [number] of numbers) for (const peer of peers) await peer.send(number ?? '');
      for (const peer of peers) {
        await until(() => peer.received.length === numbers.length, 'all answers');
        expect(peer.texts()).toEqual(numbers);
      }
    });

    it('keep their frames, also empty ones', async () => {
      const server = await serve();
      const peer = dealer(server).read();
      const sent = [['a', '', 'b', ''], [''], ['', ''], ['c']];
      for (const frames of sent) await peer.send(...frames);
      await server.untilMessages(sent.length);
      expect(server.texts(0)).toEqual(sent);
      for (const frames of sent) server.send(0, ...frames);
      server.transport.flush();
      await until(() => peer.received.length === sent.length, 'all of them back');
      expect(peer.texts()).toEqual(sent);
    });

    it('of a REQ come with its empty delimiter, and so must its reply', async () => {
      const server = await serve();
      server.answer = (peer) => {
        server.send(peer, '', 'reply');
        server.transport.flush();
      };
      const peer = requestPeer(server.endpoint);
      closers.push(() => peer.close());
      await peer.send('request');
      expect((await peer.receive()).map(String)).toEqual(['reply']);
      expect(server.texts(0)).toEqual([['', 'request']]);
    });

    it('of some megabytes pass unharmed', async () => {
      const server = await serve({ limits: { outputBytesMax: 8 << 20 } });
      const peer = dealer(server).read();
      const large = Buffer.alloc(3 << 20, 'large');
      await peer.send('large', large);
      await server.untilMessages(1);
      expect(server.messages[0]?.frames[1]?.equals(large)).toBe(true);
      server.send(0, large);
      server.transport.flush();
      await until(() => peer.received.length === 1, 'the large message');
      expect(peer.received[0]?.[0]?.equals(large)).toBe(true);
    });

    it('are copied at once from the bytes between start and end', async () => {
      const server = await serve();
      const peer = dealer(server).read();
      await peer.send('hello');
      await server.untilMessages(1);
      for (const size of [3, 500]) {
        const bytes = Buffer.from(`<${'y'.repeat(size)}>`);
        server.transport.write(0, bytes, 1, size + 1, false);
        bytes.fill('z');
      }
      server.transport.flush();
      await until(() => peer.received.length === 2, 'both messages');
      expect(peer.texts()).toEqual([['yyy'], ['y'.repeat(500)]]);
    });

    it('may be written from packed frames, after frames that were written singly', async () => {
      const server = await serve();
      const peer = dealer(server).read();
      await peer.send('hello');
      await server.untilMessages(1);
      const frames = Frames.of('', 'short', 'l'.repeat(300));
      const packed = Buffer.alloc(packedBytes(frames, 0, 3) + 2);
      const end = pack(frames, 0, 3, packed, 2, false);
      server.transport.write(0, Buffer.from('head'), 0, 4, true);
      server.transport.writePacked(0, packed, 2, end, false);
      server.transport.flush();
      packed.fill(0);
      await until(() => peer.received.length === 1, 'the message');
      expect(peer.texts()).toEqual([['head', '', 'short', 'l'.repeat(300)]]);
    });

    it('to several peers may be written frame by frame in turns', async () => {
      const server = await serve();
      const peers = [dealer(server).read(), dealer(server).read(), dealer(server).read()];
      const ids: number[] = [];
      for (const [index, peer] of peers.entries()) {
        await peer.send(`from ${index}`);
        ids.push(await server.peerOf(`from ${index}`));
      }
      for (let frame = 0; frame < 5; frame++) {
        for (const id of ids) {
          const bytes = Buffer.from(`${id}.${frame}`);
          server.transport.write(id, bytes, 0, bytes.length, frame < 4);
        }
      }
      server.transport.flush();
      for (const [index, peer] of peers.entries()) {
        await until(() => peer.received.length === 1, 'its message');
        expect(peer.texts()).toEqual([[0, 1, 2, 3, 4].map((frame) => `${ids[index]}.${frame}`)]);
      }
    });

    it('to peers that never were are thrown away', async () => {
      const server = await serve();
      server.send(4711, 'nobody', 'there');
      server.transport.writePacked(4711, Buffer.from([0, 1, 65]), 0, 3, false);
      server.transport.disconnect(4711);
      server.transport.flush();
      await expectServed(server, 'somebody');
      expect(server.told).toEqual(['connected 0', 'message 0']);
    });

    it('over a limit are thrown away, and nobody else is disturbed', async () => {
      const server = await serve({ limits: { messageBytesMax: 100_000 } });
      const many = Array.from({ length: LIMITS.framesMax + 1 }, () => 'f');
      await dealer(server).send(...many);
      await dealer(server).send(Buffer.alloc(60_000), Buffer.alloc(60_000));
      await dealer(server).send(Buffer.alloc(100_001));
      const allowed = dealer(server);
      await allowed.send(...many.slice(1));
      await allowed.send(Buffer.alloc(100_000, 'z'));
      await expectServed(server, 'other');
      await server.untilMessages(3);
      const told = (): number => server.count('oversized') + server.count('disconnected');
      await until(() => told() >= 2, 'the end of both');
      const both = '0 0: a message of 120000 bytes, at most 100000 are allowed';
      await until(() => server.told.some((line) => line.endsWith(both)), 'the sizes of one');
      expect(server.messages.map((message) => message.frames.length).sort()).toEqual([1, 1, 32]);
    });
  });

  describe('back-pressure', () => {
    it('is told as full once, and as drained after the peer has read; others are served', async () => {
      const server = await serve();
      const slow = dealer(server);
      await slow.send('slow');
      const id = await server.peerOf('slow');
      let filled = await fill(server, id);
      await expectServed(server, 'meanwhile');
      // Slower threads may still have made room.
      await until(async () => {
        if (!isFull(server, id)) filled = await fill(server, id, filled);
        return isFull(server, id);
      }, 'the peer stays full');
      const told = server.count('full');
      for (let more = 0; more < 100; more++) server.send(id, 'lost', CHUNK);
      server.transport.flush();
      slow.read();
      await until(() => !isFull(server, id), 'that it has drained');
      server.send(id, 'last');
      server.transport.flush();
      await until(() => String(slow.received.at(-1)?.[0]) === 'last', 'the last message');
      expect(server.count('full')).toBe(told);
      expect(server.count('drained')).toBe(told);
      const names = slow.texts().map(([name]) => name);
      const all = Array.from({ length: filled.written }, (_, number) => String(number));
      const missing = all.filter((name) => !names.includes(name));
      expect(filled.over.map(String)).toEqual(expect.arrayContaining(missing));
      expect(names).toEqual([...all.filter((name) => names.includes(name)), 'last']);
      expect(slow.received.slice(0, -1).every((frames) => frames[1]?.equals(CHUNK))).toBe(true);
    });

    it('never cuts a message that outgrows the bound while it is written', async () => {
      const server = await serve();
      const peer = dealer(server).read();
      await peer.send('hello');
      const id = await server.peerOf('hello');
      const part = Buffer.alloc(1 << 20);
      for (const more of [true, true, true]) server.transport.write(id, part, 0, part.length, more);
      server.transport.flush();
      await server.untilTold(`drained ${id}`);
      server.transport.write(id, part, 0, 1, false);
      server.send(id, 'whole');
      server.transport.flush();
      await until(() => peer.texts().at(-1)?.[0] === 'whole', 'the next message');
      // What exceeded the bound arrived whole or not at all.
      const sizes = peer.received.slice(0, -1).map((frames) => frames.map(({ length }) => length));
      expect([[], [[1 << 20, 1 << 20, 1 << 20, 1]]]).toContainEqual(sizes);
    });

    it('ends with its peer', async () => {
      const server = await serve();
      const slow = await readyBytePeer(server);
      slow.socket.pause();
      slow.send('slow');
      const id = await server.peerOf('slow');
      await fill(server, id);
      slow.kill();
      await server.untilTold(`disconnected ${id}`);
      await expectServed(server, 'other');
      expectOver(server, id);
    });

    it('of a peer that is disconnected is over', async () => {
      const server = await serve();
      const slow = dealer(server);
      await slow.send('slow');
      const id = await server.peerOf('slow');
      await fill(server, id);
      server.transport.disconnect(id);
      await server.untilTold(`disconnected ${id}`);
      await expectServed(server, 'other');
      expectOver(server, id);
    });
  });

  describe('strangers', () => {
    it('that send garbage or nothing disturb nobody', async () => {
      const server = await serve();
      for (let index = 0; index < 60; index++) {
        const peer = bytePeer(server);
        if (index % 4 === 0) peer.write(Buffer.from('GET / HTTP/1.1\r\nHost: here\r\n\r\n'));
        if (index % 4 === 1) peer.write(Buffer.alloc(1000, index));
        if (index % 4 === 2) peer.greet();
      }
      const halfway = await readyBytePeer(server);
      halfway.write(Buffer.from([0x01, 0x10, 0x41]));
      await expectServed(server, 'honest');
      for (let index = 0; index < 10; index++) await expectServed(server, `honest ${index}`);
      halfway.kill();
      await expectServed(server, 'after');
      expect(server.messages.every(({ frames }) => /^honest|^after/.test(String(frames[0])))).toBe(
        true,
      );
    });
  });
}
