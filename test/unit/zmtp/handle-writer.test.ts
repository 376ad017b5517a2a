/** What a write through the handle does if Node works differently from what is expected (docs/adr/0002). */
import type { Socket } from 'node:net';

import { Shortcut } from '../../../src/core/shortcut.js';
import { HandleWriter, HandleWrites } from '../../../src/zmtp/sockets/handle-writer.js';

const BYTES = [Buffer.from('x')];

class Request {
  asyncId = -1;
  oncomplete: unknown = null;
  buffer: unknown = null;

  getAsyncId(): number {
    return this.asyncId;
  }
}

/** Node's request of a write that is not complete. */
interface Pending {
  writeStatus: number | null;
  oncomplete?: (status: unknown) => void;
  buffer?: Uint8Array;
  getAsyncId(): number;
}

const pending = (writeStatus: number | null, asyncId = 7): Pending => ({
  writeStatus,
  getAsyncId: () => asyncId,
});

/** A socket whose stream passes these arguments to `writeBuffer` of its handle. */
function socketOf(handle: unknown, argumentsOf?: (bytes: Uint8Array) => readonly unknown[]) {
  const streamed: string[] = [];
  const socket: object = {
    connecting: false,
    writable: true,
    _handle: handle,
    write(bytes: Uint8Array, ended?: (error?: Error) => void) {
      streamed.push(String(bytes));
      if (argumentsOf !== undefined) {
        const { writeBuffer } = handle as { writeBuffer?: (...args: unknown[]) => unknown };
        if (writeBuffer !== undefined) Reflect.apply(writeBuffer, handle, argumentsOf(bytes));
      }
      if (ended !== undefined) queueMicrotask(ended);
      return true;
    },
  };
  return { socket: socket as Socket, streamed };
}

function thrown(): never {
  throw new Error('not to be read');
}

const writesOf = (): HandleWrites => new HandleWrites(new Shortcut());
const never = (): void => {
  throw new Error('it has not been pending');
};

/** Writes that know how this handle is called. */
function learnt(handle: object, argumentsOf: (bytes: Uint8Array) => readonly unknown[]) {
  const writes = writesOf();
  const { socket, streamed } = socketOf(handle, argumentsOf);
  const writer = new HandleWriter(socket, writes);
  expect(writer.write(BYTES, () => undefined)).toBe('pending');
  return { writer, writes, streamed };
}

async function isLeftToStream(writes: HandleWrites): Promise<void> {
  const calls: unknown[] = [];
  const { socket, streamed } = socketOf({ writeBuffer: (...args: unknown[]) => calls.push(args) });
  const ends = await new Promise((resolve) => {
    expect(new HandleWriter(socket, writes).write(BYTES, resolve)).toBe('pending');
  });
  expect([ends, streamed, calls]).toEqual([false, ['x'], []]);
}

describe('a handle', () => {
  it.each([
    ['null', null],
    ['absent', undefined],
    ['a number', 7],
    ['a string', 'handle'],
    ['without writeBuffer', {}],
    ['with a writeBuffer that is no function', { writeBuffer: null }],
    ['with a writeBuffer that throws', Object.defineProperty({}, 'writeBuffer', { get: thrown })],
  ])('that is %s leaves all writes to the stream, for good', async (_what, handle) => {
    const writes = writesOf();
    const { socket, streamed } = socketOf(handle);
    expect(new HandleWriter(socket, writes).write(BYTES, () => undefined)).toBe('pending');
    expect(streamed).toEqual(['x']);
    expect(writes.shortcut.reason).toMatch(/the handle is|not to be read/);
    await isLeftToStream(writes);
  });

  it.each(['connecting', 'ended'])('of a socket that is %s says nothing about Node', (state) => {
    const writes = writesOf();
    const { socket } = socketOf(null);
    Object.assign(socket, { connecting: state === 'connecting', writable: state !== 'ended' });
    expect(new HandleWriter(socket, writes).write(BYTES, () => undefined)).toBe('pending');
    expect(writes.shortcut.isOff).toBe(false);
  });
});

describe('the stream’s own first call', () => {
  function Odd(): void {
    throw new Error('not made before it is used');
  }
  const given = (bytes: Uint8Array): readonly unknown[] => [new Request(), bytes];
  const none = (bytes: Uint8Array): readonly unknown[] => [null, bytes];
  const throws = { constructor: Odd };

  it.each([
    ['with a request', given, 0, 'given'],
    ['with null', none, 0, 'returned'],
    ['with null, of a write that is pending', none, pending(null), 'returned'],
    ['that fails, not', none, -32, 'unknown'],
  ])('%s shows the form', (_what, argumentsOf, result, kind) => {
    const handle = { writeBuffer: () => result };
    const { writes } = learnt(handle, argumentsOf);
    expect(writes.shortcut.reason).toBeNull();
    expect(writes.form.kind).toBe(kind);
  });

  it.each([
    ['returns undefined', none, undefined],
    ['returns a string', none, 'x'],
    ['returns what is no status', none, 3],
    ['returns null', none, null],
    ['returns an object that is no request', none, {}],
    ['returns a request with another status', none, { ...pending(null), writeStatus: 'x' }],
    ['returns undefined for a request', given, undefined],
    ['has no request', (bytes: Uint8Array) => [undefined, bytes], 0],
    ['has a number as its request', (bytes: Uint8Array) => [7, bytes], 0],
    ['has a request without a number', (bytes: Uint8Array) => [{}, bytes], 0],
    [
      'has a request without a class',
      (bytes: Uint8Array) => [{ constructor: undefined }, bytes],
      0,
    ],
    ['has a request that cannot be made', (bytes: Uint8Array) => [throws, bytes], 0],
    ['has a third argument', (bytes: Uint8Array) => [null, bytes, {}], 0],
    ['has other bytes', () => [null, Buffer.from('y')], 0],
  ])('that %s leaves all writes to the stream, for good', async (_what, argumentsOf, result) => {
    const { writes } = learnt({ writeBuffer: () => result }, argumentsOf);
    expect(writes.shortcut.reason).toMatch(/^writeBuffer: called with /);
    await isLeftToStream(writes);
  });

  it('that is none leaves all writes to the stream, for good', async () => {
    const writes = writesOf();
    const { socket } = socketOf({ writeBuffer: () => 0 });
    new HandleWriter(socket, writes).write(BYTES, () => undefined);
    expect(writes.shortcut.reason).toContain('does not call it');
    await isLeftToStream(writes);
  });

  it('leaves the handle as it was', () => {
    const handle = Object.create({ writeBuffer: () => 0 }) as object;
    learnt(handle, none);
    expect(Object.keys(handle)).toEqual([]);
    const own = { writeBuffer: () => 0 };
    const { writeBuffer } = own;
    learnt(own, none);
    expect(own.writeBuffer).toBe(writeBuffer);
  });
});

describe('a request that Node returns', () => {
  let result: unknown = 0;
  let fails = false;
  const handle = {
    writeBuffer: (_request: unknown, _bytes: Uint8Array): unknown => {
      if (fails) throw new Error('unknown argument');
      return result;
    },
  };
  const real = handle.writeBuffer;
  const learntOnce = () => {
    result = 0;
    fails = false;
    handle.writeBuffer = real;
    return learnt(handle, (bytes) => [null, bytes]);
  };

  it.each([
    ['none: the kernel took all', 0, 'taken'],
    ['none: it failed', -32, 'failed'],
    ['complete already', pending(0), 'taken'],
    ['complete already, and failed', pending(-32), 'failed'],
    ['never to be complete', pending(null, -1), 'failed'],
  ])('is %s', (_what, given, outcome) => {
    const { writer, writes, streamed } = learntOnce();
    result = given;
    expect(writer.write(BYTES, never)).toBe(outcome);
    expect(streamed).toEqual(['x']);
    expect(writes.shortcut.reason).toBeNull();
  });

  it.each([
    [0, false],
    [-32, true],
    [undefined, true],
    ['0', true],
  ])('keeps the bytes until it is complete with %s, once', (status, isFailed) => {
    const { writer } = learntOnce();
    const request = pending(null);
    result = request;
    const ends: boolean[] = [];
    expect(writer.write(BYTES, (failed) => ends.push(failed))).toBe('pending');
    expect(request.buffer).toBe(BYTES[0]);
    expect(ends).toEqual([]);
    request.oncomplete?.(status);
    request.oncomplete?.(status);
    expect(ends).toEqual([isFailed]);
  });

  it.each([undefined, null, 7, 'x', true, {}])(
    'that is %s fails the write, and leaves later ones to the stream',
    async (given) => {
      const { writer, writes } = learntOnce();
      result = given;
      expect(writer.write(BYTES, never)).toBe('failed');
      expect(writes.shortcut.isOff).toBe(true);
      await isLeftToStream(writes);
    },
  );

  it('fails the write if the call throws, and leaves later ones to the stream', async () => {
    const { writer, writes } = learntOnce();
    fails = true;
    expect(writer.write(BYTES, never)).toBe('failed');
    expect(writes.shortcut.reason).toContain('unknown argument');
    await isLeftToStream(writes);
  });

  it('is not asked for if the call has gone while the connection is open', async () => {
    const { writer, writes, streamed } = learntOnce();
    Reflect.set(handle, 'writeBuffer', undefined);
    expect(writer.write(BYTES, () => undefined)).toBe('pending');
    expect(streamed).toEqual(['x', 'x']);
    await isLeftToStream(writes);
  });
});

describe('a request that the writer makes', () => {
  const requests: Request[] = [];
  let result: unknown = 0;
  let isUsed = false;
  const handle = {
    writeBuffer: (request: Request): unknown => {
      requests.push(request);
      if (isUsed) request.asyncId = 7;
      return result;
    },
  };
  const learntOnce = () => {
    result = 0;
    isUsed = false;
    class Own extends Request {}
    const known = learnt(handle, (bytes) => [new Own(), bytes]);
    requests.length = 0;
    return { ...known, Own };
  };

  it('is used again only if Node has not begun to use it', () => {
    const { writer } = learntOnce();
    const write = (): string => writer.write(BYTES, () => undefined);
    expect(write()).toBe('taken');
    // The rest of a write may have left, so that nothing is queued, while Node uses its request.
    isUsed = true;
    expect(write()).toBe('pending');
    isUsed = false;
    expect(write()).toBe('taken');
    expect(requests[1]).toBe(requests[0]);
    expect(requests[2]).not.toBe(requests[1]);
  });

  it.each([undefined, null, 7, 'x', {}])(
    'fails the write if the call returns %s, and leaves later ones to the stream',
    async (given) => {
      const { writer, writes } = learntOnce();
      result = given;
      expect(writer.write(BYTES, never)).toBe('failed');
      expect(writes.shortcut.isOff).toBe(true);
      await isLeftToStream(writes);
    },
  );

  it('fails the write if it has no number any more', async () => {
    const { writer, writes, Own } = learntOnce();
    Reflect.set(Own.prototype, 'getAsyncId', undefined);
    expect(writer.write(BYTES, never)).toBe('failed');
    await isLeftToStream(writes);
  });
});
