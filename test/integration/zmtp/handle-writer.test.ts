import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { HandleWriter, type Written } from '../../../src/zmtp/sockets/handle-writer.js';
import { until } from '../../support/until.js';

/** More than the kernel buffers between two sockets that nobody reads. */
const MUCH_BYTES = 32 * 1024 * 1024;

let server: Server;
let reader: Socket;
let socket: Socket;

/** Both ends of a connection; the reader does not read yet. */
beforeEach(async () => {
  server = createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const comes = once(server, 'connection');
  socket = connect(address.port, '127.0.0.1');
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

/** The first write of a process shows what the stream does. */
async function shown(writer: HandleWriter): Promise<void> {
  writer.write(Buffer.from('-'), () => undefined);
  await new Promise<void>((resolve) => {
    socket.write(Buffer.from('shown '), () => {
      resolve();
    });
  });
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
    const writer = new HandleWriter(socket);
    await shown(writer);
    const results: Written[] = [];
    let done = 0;
    for (let at = 0; at < 3; at++) {
      results.push(
        writer.write(Buffer.from(`${at} `), () => {
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
    const writer = new HandleWriter(socket);
    await shown(writer);
    const ended: boolean[] = [];
    const written = writer.write(Buffer.alloc(MUCH_BYTES, 'x'), (isFailed) => {
      ended.push(isFailed);
    });
    expect(written).toBe('pending');
    socket.write(Buffer.from('stream '));
    expect(writer.write(Buffer.from('last'), () => undefined)).toBe('pending');
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

  it('uses a request again only if Node has not begun to use it', async () => {
    const writer = new HandleWriter(socket);
    await shown(writer);
    const real: unknown = Reflect.get(socket, '_handle');
    const seen: object[] = [];
    // The rest of a write may have left, so that nothing is queued, while Node uses its request.
    const handle = {
      writeBuffer: (request: { getAsyncId: () => number }) => {
        if (seen.push(request) === 2) request.getAsyncId = () => 7;
        return 0;
      },
    };
    Reflect.set(socket, '_handle', handle);
    const raced = new HandleWriter(socket);
    const write = (): Written => raced.write(Buffer.from('x'), () => undefined);
    expect([write(), write(), write()]).toEqual(['taken', 'pending', 'taken']);
    expect(seen[1]).toBe(seen[0]);
    expect(seen[2]).not.toBe(seen[1]);
    Reflect.set(socket, '_handle', real);
  });

  it('that is pending when the socket is destroyed has failed', async () => {
    const writer = new HandleWriter(socket);
    await shown(writer);
    const ended: boolean[] = [];
    writer.write(Buffer.alloc(MUCH_BYTES), (isFailed) => {
      ended.push(isFailed);
    });
    socket.destroy();
    await until(() => ended.length > 0, 'the end of the write');
    expect(ended).toEqual([true]);
  });

  it('to a peer that has reset the connection fails, and does not throw', async () => {
    const writer = new HandleWriter(socket);
    await shown(writer);
    reader.resetAndDestroy();
    const outcomes: Written[] = [];
    for (let tries = 0; tries < 1000 && !outcomes.includes('failed'); tries++) {
      outcomes.push(writer.write(Buffer.from('x'), () => undefined));
      await nextTurn();
      if (socket.destroyed) break;
    }
    expect(socket.destroyed || outcomes.includes('failed')).toBe(true);
  });

  it('is left to the stream before the connection stands, and where there is no such handle', () => {
    const early = connect(1, '127.0.0.1').on('error', () => undefined);
    expect(new HandleWriter(early).write(Buffer.from('x'), () => undefined)).toBe('unsupported');
    early.destroy();
    const handle: unknown = Reflect.get(socket, '_handle');
    Object.defineProperty(handle, 'writeBuffer', { value: undefined });
    expect(new HandleWriter(socket).write(Buffer.from('x'), () => undefined)).toBe('unsupported');
  });
});
