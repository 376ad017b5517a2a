import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { Shortcut } from '../../../src/core/shortcut.js';
import {
  HandleWriter,
  HandleWrites,
  type Written,
} from '../../../src/zmtp/sockets/handle-writer.js';
import { listening } from '../../support/free-ports.js';
import { until } from '../../support/until.js';

/** More than the kernel buffers between two sockets that nobody reads. */
const MUCH_BYTES = 32 * 1024 * 1024;

let server: Server;
let reader: Socket;
let socket: Socket;
let writes: HandleWrites;

/** Both ends of a connection; the reader does not read yet. */
beforeEach(async () => {
  writes = new HandleWrites(new Shortcut());
  server = createServer({ pauseOnConnect: true });
  const port = await listening(server);
  const comes = once(server, 'connection');
  socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  reader = await comes.then(([accepted]) => accepted as Socket);
  reader.on('error', () => undefined);
  await until(() => !socket.connecting, 'the connection');
});

afterEach(() => {
  socket.destroy();
  reader.destroy();
  server.close();
});

/** A writer that has seen how this Node's stream writes. */
async function shown(): Promise<HandleWriter> {
  const writer = new HandleWriter(socket, writes);
  await new Promise<void>((resolve) => {
    expect(writer.write([Buffer.from('shown ')], () => resolve())).toBe('pending');
  });
  expect(writes.shortcut.reason).toBeNull();
  return writer;
}

function read(): () => string {
  let text = '';
  reader.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  reader.resume();
  return () => text;
}

describe('A write through the handle', () => {
  it('is possible in this version of Node, and what the kernel takes needs no more', async () => {
    const writer = await shown();
    const results: Written[] = [];
    let done = 0;
    for (let at = 0; at < 3; at++) {
      results.push(
        writer.write([Buffer.from(`${at} `)], () => {
          done++;
        }),
      );
    }
    expect(results).toEqual(['taken', 'taken', 'taken']);
    const text = read();
    await until(() => text().endsWith('0 1 2 '), 'the bytes');
    expect(done).toBe(0);
  });

  it('that the kernel does not take ends later, in order with those of the stream', async () => {
    const writer = await shown();
    const ended: boolean[] = [];
    const written = writer.write([Buffer.alloc(MUCH_BYTES, 'x')], (isFailed) => {
      ended.push(isFailed);
    });
    expect(written).toBe('pending');
    socket.write(Buffer.from('stream '));
    expect(writer.write([Buffer.from('last')], () => undefined)).toBe('pending');
    await nextTurn();
    expect(ended).toEqual([]);
    let bytes = 0;
    let tail = '';
    reader.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      tail = (tail + chunk.toString('latin1')).slice(-11);
    });
    reader.resume();
    await until(() => tail === 'stream last', 'the end');
    expect(ended).toEqual([false]);
    expect(bytes).toBeGreaterThan(MUCH_BYTES);
  });

  it('that is pending when the socket is destroyed has failed', async () => {
    const writer = await shown();
    const ended: boolean[] = [];
    writer.write([Buffer.alloc(MUCH_BYTES)], (isFailed) => {
      ended.push(isFailed);
    });
    socket.destroy();
    await until(() => ended.length > 0, 'the end of the write');
    expect(ended).toEqual([true]);
  });

  it('to a peer that has reset the connection fails, and does not throw', async () => {
    const writer = await shown();
    reader.resetAndDestroy();
    const outcomes: Written[] = [];
    for (let tries = 0; tries < 1000 && !outcomes.includes('failed'); tries++) {
      outcomes.push(writer.write([Buffer.from('x')], () => undefined));
      await nextTurn();
      if (socket.destroyed) break;
    }
    expect(socket.destroyed || outcomes.includes('failed')).toBe(true);
  });

  it('is left to the stream while it connects, and if it is in several pieces', async () => {
    await shown();
    const early = connect(1, '127.0.0.1').on('error', () => undefined);
    const calls: string[] = [];
    early.write = (bytes: string | Uint8Array): boolean => calls.push(String(bytes)) > 0;
    expect(new HandleWriter(early, writes).write([Buffer.from('x')], () => undefined)).toBe(
      'pending',
    );
    expect(calls).toEqual(['x']);
    early.destroy();
    const text = read();
    const pieces = ['a', 'b', 'c'].map((each) => Buffer.from(each));
    await new Promise<void>((resolve) => {
      new HandleWriter(socket, writes).write(pieces, () => resolve());
    });
    await until(() => text() === 'shown abc', 'the pieces');
    expect(writes.shortcut.isOff).toBe(false);
  });
});
