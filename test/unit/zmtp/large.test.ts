/** Large messages, which are kept where they were read, and sent on from there: their memory is used again and again. */
import fc from 'fast-check';

import { Arena } from '../../../src/core/arena.js';
import { Frames } from '../../../src/core/frames.js';
import { pieceOf } from '../../../src/core/piece.js';
import { ReceivedMessage } from '../../../src/sdk/message.js';
import { Connection } from '../../../src/zmtp/connection/connection.js';
import { recycle } from '../../../src/zmtp/connection/chunks.js';
import { NullMechanism } from '../../../src/zmtp/connection/null.js';
import type { Taken } from '../../../src/zmtp/connection/output-queue.js';
import { frame, HANDSHAKE, message, MORE, Recorded } from './wire.js';

const LIMITS = { messageBytesMax: 1 << 24, framesMax: 300 };

/** Gives a connection these bytes as a socket does: what is lent is read to. */
function read(connection: Connection, bytes: Buffer, atOnce: number): void {
  for (let at = 0; at < bytes.length;) {
    const lent = connection.lend();
    const size = Math.min(lent?.length ?? atOnce, atOnce, bytes.length - at);
    const into = lent ?? Buffer.alloc(size);
    bytes.copy(into, 0, at, at + size);
    connection.receive(into, 0, size);
    at += size;
  }
}

describe('where a large frame is read to', () => {
  it('is its own memory, without a copy, once its beginning is there', () => {
    const { connection } = Recorded.shaken(LIMITS);
    const body = Buffer.alloc(1_000_000, 'body');
    const bytes = message('head', body);
    connection.receive(bytes, 0, 65_536);
    const lent = connection.lend();
    bytes.copy(lent ?? Buffer.alloc(0), 0, 65_536, 65_536 + 100_000);
    connection.receive(lent ?? Buffer.alloc(0), 0, 100_000);
    expect(connection.lend()?.buffer).toBe(lent?.buffer);
    expect(connection.lend()?.byteOffset).toBe((lent?.byteOffset ?? 0) + 100_000);
  });

  it('is the shared buffer for small ones, for the last bytes, and while others have their turn', () => {
    const { connection } = Recorded.shaken(LIMITS);
    expect(connection.lend()).toBeNull();
    connection.receive(frame(MORE, 'small').subarray(0, 3), 0);
    expect(connection.lend()).toBeNull();
    const rest = Recorded.shaken(LIMITS).connection;
    const large = message('head', Buffer.alloc(1_000_000));
    rest.receive(large, 0, 65_536, 0);
    expect([rest.hasRest, rest.lend()]).toEqual([true, null]);
    const last = Recorded.shaken(LIMITS).connection;
    read(last, large.subarray(0, large.length - 1000), 60_000);
    expect(last.lend()).toBeNull();
  });

  it('is not used again while a socket may still read to it, although its connection has ended', () => {
    const { connection } = Recorded.shaken(LIMITS);
    connection.receive(message('head', Buffer.alloc(1_000_000)), 0, 65_536);
    const lent = connection.lend();
    connection.close();
    expect(lent?.length).toBeGreaterThan(0);
    expect(connection.receive(lent ?? Buffer.alloc(0), 0, 10)).toBe(0);
  });
});

/** What somebody keeps of the messages that a connection reads. */
class Keeping {
  readonly kept: Buffer[][] = [];
  readonly buffers: Buffer[] = [];
  /** What a program gets of them. */
  readonly received: ReceivedMessage[] = [];
  readonly connection: Connection;

  constructor() {
    const mechanism = new NullMechanism('ROUTER', Buffer.alloc(0));
    const events = {
      ready: () => undefined,
      message: (frames: Frames) => {
        this.buffers.push(frames.buffer(0));
        this.kept.push(frames.keepFrom(0));
        this.received.push(ReceivedMessage.copied('', null, frames, 1));
      },
      failed: () => undefined,
    };
    const options = { mechanism, waitsForGreeting: true, ...LIMITS };
    this.connection = new Connection(options, events, new Frames(), 0);
    this.connection.receive(HANDSHAKE, 0);
  }
}

describe('a large frame that somebody keeps', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'is not copied, never changes, and can be viewed as numbers (%i bytes before it)',
    (before) => {
      const { connection, kept, buffers, received } = new Keeping();
      const heads = Buffer.alloc(before, 'h');
      for (const text of ['first', 'second', 'third', 'fourth']) {
        // (A piece that is released is used for the next message of its size.)
        const large = message(heads.toString(), Buffer.alloc(2_000_000, text));
        read(connection, large, 65_536);
      }
      expect(kept.map(([head]) => head?.length)).toEqual([before, before, before, before]);
      for (const [index, text] of ['first', 'second', 'third', 'fourth'].entries()) {
        const body = kept[index]?.[1] ?? Buffer.alloc(0);
        expect(body.equals(Buffer.alloc(2_000_000, text))).toBe(true);
        expect(body.buffer).toBe(buffers[index]?.buffer);
        expect(received[index]?.frames[0]?.buffer).toBe(body.buffer);
        expect(new Float64Array(body.buffer, body.byteOffset, 250_000)).toHaveLength(250_000);
      }
    },
  );

  it('is copied, if much of the memory that it is in is of something else', () => {
    const { connection, kept, buffers } = new Keeping();
    read(connection, message('x'.repeat(1_000_000), Buffer.alloc(500_000, 'body')), 65_536);
    const body = kept[0]?.[1] ?? Buffer.alloc(0);
    expect(body.equals(Buffer.alloc(500_000, 'body'))).toBe(true);
    expect(body.buffer).not.toBe(buffers[0]?.buffer);
    // The memory of the message is free.
    expect(buffers[0]).toHaveLength(0);
  });
});

/** A broker of few words: keeps each message, sends it on, perhaps twice, and forgets it then, perhaps too early. */
class Passing {
  readonly arena = new Arena();
  readonly outs: Out[];
  readonly ins: Connection[];
  readonly #kept: { readonly handle: number; readonly size: number }[] = [];
  #next = 0;

  constructor(ways: number) {
    this.outs = Array.from({ length: ways }, () => new Out());
    this.ins = Array.from({ length: ways }, () => {
      const mechanism = new NullMechanism('ROUTER', Buffer.alloc(0));
      const options = { mechanism, waitsForGreeting: true, ...LIMITS };
      const events = {
        ready: () => undefined,
        message: (frames: Frames) => this.#message(frames),
        failed: () => undefined,
      };
      const connection = new Connection(options, events, new Frames(), 0);
      connection.receive(HANDSHAKE, 0);
      return connection;
    });
  }

  #message(frames: Frames): void {
    const bytes = frames.buffer(1);
    const [start, end] = [frames.start(1), frames.end(1)];
    const body = Buffer.from(bytes.subarray(start, end));
    const out = this.outs[this.#next++ % this.outs.length];
    // As a reply: straight from where it was read.
    if (frames.isLasting) out?.lasting(bytes, start, end, body);
    const piece = frames.isLasting ? pieceOf(bytes) : undefined;
    if (piece === undefined) return;
    // As a request: it stays, and is sent from there.
    piece.hold();
    this.#kept.push({ handle: this.arena.adopt(piece, start), size: end - start });
  }

  deliver(to: number, isLast: boolean): void {
    const kept = isLast ? this.#kept.shift() : this.#kept[0];
    if (kept === undefined) return;
    const { words, start } = this.arena.find(kept.handle);
    const end = start + kept.size;
    const body = Buffer.from(words.bytes.subarray(start, end));
    this.outs[to % this.outs.length]?.lasting(words.bytes, start, end, body);
    if (isLast) this.arena.free(kept.handle);
  }
}

/** What is sent to a peer that reads slowly, and what it has to get. */
class Out {
  readonly connection: Connection;
  readonly #expected: Buffer[] = [];
  readonly #writing: Taken[] = [];
  readonly #got: Buffer[] = [];

  constructor() {
    this.connection = Recorded.shaken(LIMITS).connection;
    recycle(this.connection.output.take().chunks);
  }

  lasting(bytes: Buffer, start: number, end: number, body: Buffer): void {
    this.#expected.push(frame(0, body));
    this.connection.writeLasting(bytes, start, end, false);
  }

  take(bytes: number): void {
    const taken = this.connection.output.take(bytes);
    if (taken.bytes > 0) this.#writing.push(taken);
  }

  /** The kernel has taken a write: what was in its memory then is what the peer gets. */
  written(): void {
    const taken = this.#writing.shift();
    if (taken === undefined) return;
    this.#got.push(...taken.views.map((view) => Buffer.from(view)));
    recycle(taken.chunks);
  }

  /** The peer is gone: nothing more is written. */
  drop(): void {
    for (const { chunks } of [...this.#writing.splice(0), this.connection.output.take()]) {
      recycle(chunks);
    }
    this.#expected.length = 0;
    this.#got.length = 0;
  }

  end(): void {
    this.take(Infinity);
    while (this.#writing.length > 0) this.written();
    expect(Buffer.concat(this.#got).equals(Buffer.concat(this.#expected))).toBe(true);
  }
}

describe('the memory of a large message', () => {
  it('is never that of another one for whoever still sends it, however they read, end, and are cancelled', () => {
    const bytes = fc.oneof(
      fc.constant(70_000),
      fc.constant(100_000),
      fc.integer({ min: 1, max: 300_000 }),
    );
    const step = fc.record({
      kind: fc.constantFrom('read', 'read', 'deliver', 'last', 'take', 'written', 'drop', 'close'),
      at: fc.nat(2),
      bytes,
      atOnce: fc.integer({ min: 5000, max: 80_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const passing = new Passing(3);
        for (const [index, { kind, at, bytes: size, atOnce }] of steps.entries()) {
          const into = passing.ins[at];
          const out = passing.outs[at];
          if (kind === 'read' && into !== undefined) {
            read(into, message('h', Buffer.alloc(size, `${index} of ${size};`)), atOnce);
          } else if (kind === 'close' && into !== undefined) {
            read(into, message('h', Buffer.alloc(size)).subarray(0, size >> 1), atOnce);
            into.close();
          } else if (kind === 'deliver' || kind === 'last') {
            passing.deliver(at, kind === 'last');
          } else if (kind === 'take') {
            out?.take(size);
          } else if (kind === 'written') {
            out?.written();
          } else if (kind === 'drop') {
            out?.drop();
          }
        }
        for (const out of passing.outs) out.end();
      }),
      { numRuns: 200 },
    );
  });
});
