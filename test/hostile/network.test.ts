import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

import { RawPeer } from '../interop/support/raw-peer.js';
import { TRANSPORTS } from '../interop/support/transports.js';
import { itWithTool } from '../support/tools.js';
import { Siege } from './siege.js';
import { cleanUp } from '../process/broker/support.js';
import { until } from '../support/until.js';

const TOOL = 'python3-zmq';
const IDLE_WANTED = 1200;
const TRIES_MAX = 100;

const sockets: Socket[] = [];

/** A connection without ZeroMQ; errors only end it. */
async function dial(endpoint: string): Promise<Socket> {
  const { hostname, port } = new URL(endpoint.replace('tcp:', 'http:'));
  const socket = connect({ host: hostname, port: Number(port) });
  sockets.push(socket);
  socket.on('error', () => undefined);
  // Received bytes are discarded; without a reader, the end would not be noticed.
  socket.resume();
  await once(socket, 'connect');
  return socket;
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, 'close');
}

/** ZMTP 3.0, mechanism NULL. */
function greeting(): Buffer {
  const bytes = Buffer.alloc(64);
  bytes[0] = 0xff;
  bytes[9] = 0x7f;
  bytes[10] = 3;
  bytes.write('NULL', 12, 'latin1');
  return bytes;
}

function readyOfDealer(): Buffer {
  const body = Buffer.from('\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER', 'latin1');
  return Buffer.concat([Buffer.from([4, body.length]), body]);
}

function readUntil(socket: Socket, holds: (all: Buffer) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let all = Buffer.alloc(0);
    const look = (chunk: Buffer): void => {
      all = Buffer.concat([all, chunk]);
      if (!holds(all)) return;
      socket.off('data', look);
      resolve();
    };
    socket.on('data', look);
    socket.once('close', () => reject(new Error(`closed after ${all.length} bytes`)));
  });
}

/** Sends the bytes it is given. */
type Write = (bytes: Buffer) => Promise<void> | boolean;

/** libzmq takes READY only from one that waits for its greeting. */
async function shakeHands(socket: Socket, write: Write): Promise<void> {
  const greeted = readUntil(socket, (all) => all.length >= 64);
  // It may be closed while this is still writing.
  greeted.catch(() => undefined);
  await write(greeting());
  await greeted;
  await write(readyOfDealer());
}

/** A connection after its handshake; dials again if this machine was too slow for it. */
async function greeted(
  endpoint: string,
  greet: (socket: Socket) => Promise<void> = (socket) =>
    shakeHands(socket, (bytes) => socket.write(bytes)),
): Promise<Socket> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const socket = (await dial(endpoint)).setNoDelay(true);
    const isDone = await greet(socket).then(
      () => true,
      () => false,
    );
    if (isDone) return socket;
    socket.destroy();
  }
  throw new Error(`none of ${TRIES_MAX} connections got through its handshake`);
}

function byByte(socket: Socket): Write {
  return async (bytes) => {
    for (const byte of bytes) {
      await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve));
    }
  };
}

/** Resolves when the MMI question, written so, is answered 200. */
async function asked(socket: Socket, message: Buffer, write: Write): Promise<void> {
  const answered = readUntil(socket, (all) => all.includes('\x00\x03200'));
  await Promise.all([answered, write(message)]);
}

/** Asks an MMI question byte by byte, after a handshake byte by byte: the first answer shows that it is over. */
async function askByByte(endpoint: string, message: Buffer): Promise<void> {
  const slow = await greeted(endpoint, async (socket) => {
    await shakeHands(socket, byByte(socket));
    await asked(socket, message, (bytes) => socket.write(bytes));
  });
  await asked(slow, message, byByte(slow));
}

const GARBAGE: readonly Buffer[] = [
  Buffer.from('GET / HTTP/1.1\r\nHost: broker\r\n\r\n'),
  Buffer.from('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'latin1'),
  Buffer.from('*1\r\n$4\r\nPING\r\n'),
  Buffer.alloc(100_000, 0xff),
  Buffer.alloc(100_000),
  Buffer.alloc(0),
  // A ZMTP 1.0 frame of an impossible length.
  Buffer.from('ff7fffffffffffffff00', 'hex'),
  greeting(),
  greeting().subarray(0, 11),
  Buffer.concat([greeting(), Buffer.from('GET / HTTP/1.1\r\n\r\n')]),
  Buffer.concat([greeting(), randomBytes(1000)]),
];

/** Sent after the handshake. */
const NO_FRAMES: readonly Buffer[] = [
  randomBytes(1000),
  // Frames that announce 2^62 and 2^63 bytes, an unknown command, an undefined flag.
  Buffer.from('024000000000000000', 'hex'),
  Buffer.from('028000000000000000', 'hex'),
  Buffer.from('0403024e4f', 'hex'),
  Buffer.from('f00178', 'hex'),
  // Endless frames: each has the MORE flag.
  Buffer.from('010178'.repeat(20_000), 'hex'),
];

/** How many connections this process may open, beyond its own needs. */
function idleConnections(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const soft = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Infinity);
  return Math.min(IDLE_WANTED, Math.floor(soft / 2));
}

describe.each(TRANSPORTS)(
  'over %s, a well-behaved client is served while the port gets',
  (transport) => {
    afterEach(async () => {
      for (const socket of sockets.splice(0)) socket.destroy();
      await cleanUp();
    });

    itWithTool(TOOL, 'bytes that are not ZeroMQ', async () => {
      const siege = await Siege.begin(`broker.transport=${transport}`);
      const round = async (): Promise<void> => {
        const opened = await Promise.all(GARBAGE.map(() => dial(siege.endpoint)));
        for (const [index, socket] of opened.entries()) socket.write(GARBAGE[index] ?? '');
        for (const bytes of NO_FRAMES) {
          const socket = await greeted(siege.endpoint);
          socket.write(bytes);
          opened.push(socket);
        }
        await siege.served();
        // The broker closed some of them; the others are closed here, by RST or FIN.
        for (const [index, socket] of opened.entries()) {
          if (index % 2 === 0) socket.resetAndDestroy();
          else socket.end();
        }
      };
      await round();
      const before = await siege.heldBytes();
      for (let rounds = 0; rounds < 6; rounds++) await round();
      await siege.bounded(before);
      await siege.end();
    });

    itWithTool(TOOL, 'connections that stop in the middle of the handshake: closed', async () => {
      const siege = await Siege.begin(`broker.transport=${transport}`);
      const opened = await Promise.all(Array.from({ length: 100 }, () => dial(siege.endpoint)));
      for (const [index, socket] of opened.entries()) {
        socket.write(greeting().subarray(0, index % 64));
      }
      await Promise.all(opened.map(closed));
      await siege.end();
    });

    itWithTool(TOOL, 'a message byte by byte, and one that is never completed', async () => {
      const siege = await Siege.begin(`broker.transport=${transport}`);
      const frames = ['', 'MDPC01', 'mmi.service', 'steady'];
      const message = Buffer.concat(
        frames.map((frame, index) => {
          const more = index + 1 < frames.length ? 1 : 0;
          return Buffer.concat([Buffer.from([more, frame.length]), Buffer.from(frame)]);
        }),
      );
      const half = await greeted(siege.endpoint);
      half.write(message.subarray(0, -3));
      await askByByte(siege.endpoint, message);
      await siege.served();
      await siege.end();
    });

    itWithTool(TOOL, 'more than a thousand connections that say nothing', async () => {
      const siege = await Siege.begin(`broker.transport=${transport}`);
      const count = idleConnections();
      const before = siege.openDescriptors();
      const opened: Socket[] = [];
      while (opened.length < count) {
        const some = Array.from({ length: Math.min(100, count - opened.length) }, () =>
          greeted(siege.endpoint),
        );
        opened.push(...(await Promise.all(some)));
      }
      await siege.served();
      const client = new RawPeer(siege.endpoint);
      expect((await client.ask('id', 'mmi.service', 'steady')).at(-1)).toBe('200');
      expect(siege.openDescriptors()).toBeGreaterThanOrEqual(before + count);
      for (const socket of opened) socket.resetAndDestroy();
      await until(async () => {
        await siege.served();
        return siege.openDescriptors() <= before + 50;
      }, 'the descriptors are closed');
      await siege.end();
    });
  },
);

describe('over zmtp, a connection over the limit is closed, and later ones get in (contract §3)', () => {
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await cleanUp();
  });

  async function served(siege: Siege): Promise<void> {
    const client = new RawPeer(siege.endpoint);
    expect((await client.ask('id', 'mmi.service', 'steady')).at(-1)).toBe('200');
    client.close();
  }

  itWithTool(TOOL, 'when file descriptors run out', async () => {
    const siege = await Siege.begin();
    const most = String(siege.openDescriptors() + 40);
    const args = ['--pid', String(siege.daemon.pid), `--nofile=${most}:${most}`];
    expect(spawnSync('prlimit', args).status).toBe(0);
    const opened = await Promise.all(Array.from({ length: 300 }, () => dial(siege.endpoint)));
    await siege.served();
    for (const socket of opened) socket.resetAndDestroy();
    await served(siege);
    await siege.end();
  });

  itWithTool(TOOL, 'at limits.connections', async () => {
    const siege = await Siege.begin('limits.connections=50');
    await Promise.all(Array.from({ length: 200 }, () => dial(siege.endpoint)));
    await siege.served();
    expect(siege.openDescriptors()).toBeLessThan(150);
    for (const socket of sockets) socket.resetAndDestroy();
    await served(siege);
    await siege.end();
  });
});
