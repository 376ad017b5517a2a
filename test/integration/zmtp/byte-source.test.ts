import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { Shortcut } from '../../../src/core/shortcut.js';
import { ByteSource } from '../../../src/zmtp/sockets/byte-source.js';
import { listening } from '../../support/free-ports.js';
import { until } from '../../support/until.js';

let server: Server;
let dialler: Socket;
let accepted: Socket;

async function pair(): Promise<void> {
  server = createServer({ pauseOnConnect: true });
  const port = await listening(server);
  const comes = once(server, 'connection');
  dialler = connect(port, '127.0.0.1');
  accepted = await comes.then(([socket]) => socket as Socket);
}

type Handle = Record<string, unknown>;

/** What a handle may be in a version of Node that works differently. */
const UNFAMILIAR: readonly (readonly [what: string, change: (handle: Handle) => unknown])[] = [
  ['null', () => null],
  ['absent', () => undefined],
  ['a number', () => 7],
  ['without useUserBuffer', (handle) => Object.assign(handle, { useUserBuffer: undefined })],
  ['with another useUserBuffer', (handle) => Object.assign(handle, { useUserBuffer: 'shared' })],
];

/** Reads everything that comes. */
function textOf(source: ByteSource): () => string {
  let text = '';
  source.read((bytes, size) => {
    text += bytes.toString('latin1', 0, size);
    return true;
  });
  return () => text;
}

describe('An accepted socket', () => {
  let reading: Shortcut;

  beforeEach(() => {
    reading = new Shortcut();
  });

  afterEach(() => {
    dialler.destroy();
    server.close();
  });

  it('is read into the shared buffer by this version of Node', async () => {
    await pair();
    const { socket } = ByteSource.accepted(accepted, reading);
    expect(socket).not.toBe(accepted);
    expect(accepted.destroyed).toBe(true);
    expect(reading.reason).toBeNull();
    socket.destroy();
  });

  it('is read to where it is lent to, also after it had stopped, and to the shared buffer after that', async () => {
    await pair();
    const source = ByteSource.accepted(accepted, reading);
    const own = Buffer.alloc(300_000);
    const [others, at] = [[] as Buffer[], { own: 0, reads: 0 }];
    // The first read ends where it may, and what comes then has a place.
    source.read(
      (bytes, size) => {
        const isLent = bytes.buffer === own.buffer;
        if (isLent) at.own += size;
        else others.push(Buffer.from(bytes.subarray(0, size)));
        setImmediate(() => source.resume());
        return ++at.reads % 2 === 0;
      },
      () => (at.own < own.length ? own.subarray(at.own) : null),
    );
    const sent = Buffer.from(Array.from({ length: 500_000 }, (_, byte) => byte % 251));
    dialler.write(sent);
    const got = (): number => at.own + Buffer.concat(others).length;
    await until(() => got() === sent.length, 'all is read');
    const [first = Buffer.alloc(0), ...rest] = others;
    expect(Buffer.concat([first, own, ...rest]).equals(sent)).toBe(true);
    source.socket.destroy();
  });

  it.each(UNFAMILIAR)(
    'whose handle is %s is read in the usual way, and so are all later ones',
    async (_what, change) => {
      await pair();
      const handle: unknown = Reflect.get(accepted, '_handle');
      const shown = change(handle as Handle);
      // (The stream itself keeps the real one.)
      let isAsked = false;
      Object.defineProperty(accepted, '_handle', {
        configurable: true,
        get: () => {
          if (isAsked) return handle;
          isAsked = true;
          return shown;
        },
        set: () => undefined,
      });
      const source = ByteSource.accepted(accepted, reading);
      expect(source.socket).toBe(accepted);
      expect(reading.isOff).toBe(true);
      const text = textOf(source);
      dialler.write('bytes');
      await until(() => text() === 'bytes', 'the bytes');
      source.socket.destroy();
      dialler.destroy();
      server.close();
      await pair();
      expect(ByteSource.accepted(accepted, reading).socket).toBe(accepted);
      accepted.destroy();
    },
  );

  it('that cannot be made around its handle is closed, and later ones are read in the usual way', async () => {
    await pair();
    const handle = Reflect.get(accepted, '_handle') as Handle;
    handle['useUserBuffer'] = () => {
      throw new Error('not for this handle');
    };
    const source = ByteSource.accepted(accepted, reading);
    expect(source.socket.destroyed).toBe(true);
    expect(reading.reason).toContain('not for this handle');
    await until(() => dialler.destroyed || dialler.readableEnded, 'the end');
    server.close();
    await pair();
    const later = ByteSource.accepted(accepted, reading);
    const text = textOf(later);
    dialler.write('bytes');
    await until(() => text() === 'bytes', 'the bytes');
    later.socket.destroy();
  });

  it('that keeps its handle is closed, and later ones are read in the usual way', async () => {
    await pair();
    const handle: unknown = Reflect.get(accepted, '_handle');
    Object.defineProperty(accepted, '_handle', { get: () => handle, set: () => undefined });
    expect(ByteSource.accepted(accepted, reading).socket.destroyed).toBe(true);
    expect(reading.reason).toContain('does not take the handle');
  });

  it('that reads as a stream although it has a buffer loses nothing', async () => {
    await pair();
    const source = ByteSource.accepted(accepted, reading);
    const text = textOf(source);
    source.socket.push(Buffer.from('early '));
    await until(() => text() === 'early ', 'the bytes');
    expect(reading.reason).toContain('does not read into the buffer');
    source.socket.destroy();
  });

  it.each([undefined, null, '5', Number.NaN, -1, 65_537])(
    'that reads %s bytes is closed, and the way is given up',
    async (size) => {
      await pair();
      const { socket } = ByteSource.accepted(accepted, reading);
      const symbols = Object.getOwnPropertySymbols(socket);
      const callback = symbols.find(({ description }) => description === 'kBufferCb');
      const read = Reflect.get(socket, callback ?? '') as (size: unknown) => boolean;
      expect(read(size)).toBe(false);
      expect(socket.destroyed).toBe(true);
      expect(reading.reason).toContain('the number of bytes read');
    },
  );

  it.each([
    ['whose handle is known', false],
    ['whose handle is not known', true],
  ])('%s gives what came before and after somebody reads, in order', async (_, isHidden) => {
    await pair();
    if (isHidden) reading.giveUp('hidden');
    const source = ByteSource.accepted(accepted, reading);
    let text = '';
    let hasEnded = false;
    source.socket.on('end', () => {
      hasEnded = true;
    });
    dialler.write('early ');
    await until(
      () => dialler.bytesWritten === 6 && source.socket.bytesRead === 6,
      'all bytes are read',
    );
    dialler.write('and ');
    await nextTurn();
    source.read((bytes, size) => {
      text += bytes.toString('latin1', 0, size);
      return true;
    });
    expect(text).toBe('');
    await until(() => text === 'early and ', 'the early bytes');
    const answers = once(dialler, 'data') as Promise<[Buffer]>;
    source.socket.write('answer');
    const [answer] = await answers;
    expect(answer.toString()).toBe('answer');
    dialler.end('late');
    await until(() => hasEnded, 'the end');
    expect(text).toBe('early and late');
    await until(() => source.socket.destroyed, 'the socket is closed');
  });
});
