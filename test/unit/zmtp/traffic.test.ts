import { Frames } from '../../../src/core/frames.js';
import { freePieceBytes, keepFree } from '../../../src/core/piece.js';
import { Connection } from '../../../src/zmtp/connection/connection.js';
import { NullMechanism } from '../../../src/zmtp/connection/null.js';
import { COMMAND, commandFrame, frame, HANDSHAKE, LONG, message, MORE, Recorded } from './wire.js';

const TOO_LARGE = 'failed too_large: a message over the limits';

describe('the length of a frame (23/ZMTP §Framing)', () => {
  it.each<[string, bigint]>([
    ['one byte over the limit', 1001n],
    ['2^31', 1n << 31n],
    ['2^32 - 1', (1n << 32n) - 1n],
    ['2^53 + 1', (1n << 53n) + 1n],
    ['2^63 - 1', (1n << 63n) - 1n],
    ['2^63', 1n << 63n],
    ['2^64 - 1', (1n << 64n) - 1n],
  ])('that says %s is refused before a byte is kept for it', (_, size) => {
    for (const flags of [LONG, LONG | MORE]) {
      const recorded = Recorded.shaken({ messageBytesMax: 1000, framesMax: 8 });
      const head = frame(flags, '', size);
      recorded.receive(head.subarray(0, 8));
      expect(recorded.failure).toBe('');
      recorded.receive(head.subarray(8));
      expect(recorded.failure).toBe(TOO_LARGE);
      expect(recorded.connection.carriedBytes).toBe(0);
    }
  });

  it('is counted over all frames of a message, up to the limit itself', () => {
    const limits = { messageBytesMax: 1000, framesMax: 8 };
    const fits = Recorded.shaken(limits);
    fits.receive(message(Buffer.alloc(600), Buffer.alloc(400)), message(Buffer.alloc(1000)));
    expect(fits.messages).toHaveLength(2);
    const head = frame(0, '', 401n);
    const over = Recorded.shaken(limits);
    over.receive(frame(MORE, Buffer.alloc(600)), head);
    expect(over.failure).toBe(TOO_LARGE);
  });

  it('may be written long though it is short, also of nothing', () => {
    const recorded = Recorded.shaken().receive(frame(LONG | MORE, ''), frame(LONG, 'x'));
    expect(recorded.messages).toEqual([['', 'x']]);
  });

  it('of what is not there yet takes no memory in advance', () => {
    const recorded = Recorded.shaken({ messageBytesMax: 1 << 30, framesMax: 8 });
    recorded.receive(frame(0, 'begin', 1n << 29n));
    expect(recorded.connection.carriedBytes).toBeLessThanOrEqual(1024);
    expect(recorded.connection.isInterrupted).toBe(true);
  });
});

describe('frames of one message', () => {
  it('are as many as allowed, and one more is refused', () => {
    const limits = { messageBytesMax: 1000, framesMax: 8 };
    const eight = Array.from({ length: 8 }, () => 'x');
    const fits = Recorded.shaken(limits).receive(message(...eight));
    expect(fits.messages).toEqual([eight]);
    expect(Recorded.shaken(limits).receive(message(...eight, 'x')).failure).toBe(TOO_LARGE);
    const endless = Recorded.shaken(limits).receive(Buffer.alloc(60_000, Buffer.from([MORE, 0])));
    expect(endless.failure).toBe(TOO_LARGE);
  });

  it('do not keep what they came in once they were handled', () => {
    const frames = new Frames();
    const events = { ready: () => undefined, message: () => undefined, failed: () => undefined };
    const mechanism = new NullMechanism('ROUTER', Buffer.alloc(0));
    const limits = { messageBytesMax: 1 << 20, framesMax: 300 };
    const options = { mechanism, waitsForGreeting: true, ...limits };
    for (let count = 256; count > 250; count--) {
      const connection = new Connection(options, events, frames, 0);
      connection.receive(HANDSHAKE, 0);
      const bytes = message(...Array.from({ length: count }, () => Buffer.alloc(1000)));
      const last = count === 251 ? bytes.length - 1 : bytes.length;
      for (let at = 0; at < last; at += 50_000) {
        connection.receive(Buffer.from(bytes.subarray(at, Math.min(at + 50_000, last))), 0);
      }
    }
    const kept = new Set(frames.buffers.filter((buffer) => buffer.length > 60_000));
    expect(kept.size).toBe(0);
  });
});

describe('a message of many small frames that comes in pieces', () => {
  it('is not read again for each of its frames', () => {
    let pushed = 0;
    class Counted extends Frames {
      override push(buffer: Buffer, start: number, end: number): void {
        pushed++;
        super.push(buffer, start, end);
      }
    }
    const sizes: number[] = [];
    const events = {
      ready: () => undefined,
      message: (frames: Frames) => sizes.push(frames.count),
      failed: () => undefined,
    };
    const mechanism = new NullMechanism('ROUTER', Buffer.alloc(0));
    const limits = { messageBytesMax: 1 << 20, framesMax: 10_000 };
    const options = { mechanism, waitsForGreeting: true, ...limits };
    const connection = new Connection(options, events, new Counted(), 0);
    connection.receive(HANDSHAKE, 0);
    const bytes = message(...Array.from({ length: 10_000 }, () => ''), 'last');
    const all = Buffer.concat([bytes.subarray(2), message('a', 'b')]);
    for (let at = 0; at < all.length; at += 9000) {
      connection.receive(Buffer.from(all.subarray(at, at + 9000)), 0);
    }
    expect(sizes).toEqual([10_000, 2]);
    expect(pushed).toBeLessThan(100_000);
  });
});

describe('an incomplete message', () => {
  const MIB = 1024 * 1024;
  const limits = { messageBytesMax: 256 * MIB, framesMax: 300 };
  const held = (): number => process.memoryUsage().arrayBuffers;

  it.each([
    ['one large frame', frame(0, Buffer.alloc(40 * MIB), BigInt(80 * MIB)), 80 * MIB],
    [
      'many frames',
      Buffer.concat(Array.from({ length: 200 }, () => frame(MORE, Buffer.alloc(200_000)))),
      40_000_000,
    ],
  ])('of %s takes the memory that is counted, and gives it back at once', (_, bytes, announced) => {
    keepFree(32 * MIB);
    const { connection } = Recorded.shaken(limits);
    const before = held() - freePieceBytes();
    for (let at = 0; at < bytes.length; at += 60_000) {
      connection.receive(bytes.subarray(at, at + 60_000), 0);
      // What was copied into a larger buffer does not wait for V8.
      expect(held() - freePieceBytes() - before).toBeLessThan(connection.carriedBytes + MIB);
    }
    expect(connection.carriedBytes).toBeGreaterThanOrEqual(bytes.length);
    expect(connection.carriedBytes).toBeLessThan(announced * 1.6);
    connection.close();
    // Some of it stays for the next ones.
    expect(held() - freePieceBytes() - before).toBeLessThan(MIB);
    expect(freePieceBytes()).toBeLessThanOrEqual(32 * MIB);
  });

  it('in a buffer of its own is left to who got it, if that ends the connection', () => {
    const recorded = Recorded.shaken(limits);
    let seen: Buffer = Buffer.alloc(0);
    recorded.message = (frames) => {
      recorded.connection.close();
      seen = frames.copy(1);
    };
    const bytes = message('head', Buffer.alloc(MIB, 'x'));
    for (let at = 0; at < bytes.length; at += 60_000) {
      recorded.connection.receive(bytes.subarray(at, at + 60_000), 0);
    }
    expect(seen.equals(Buffer.alloc(MIB, 'x'))).toBe(true);
  });
});

describe('a large message that comes in pieces', () => {
  const limits = { messageBytesMax: 1 << 24, framesMax: 300 };
  const large = Buffer.alloc(1_000_000, 'large');

  it('lasts: what follows does not change it, and its buffer holds little else', () => {
    const recorded = Recorded.shaken(limits);
    const all = Buffer.concat([
      ...[frame(0, 'before'), message('head', large), frame(0, 'a'), message('head', large)],
      ...[frame(0, 'b'), frame(0, 'c')],
    ]);
    for (let at = 0; at < all.length; at += 65_536) {
      recorded.receive(all.subarray(at, at + 65_536));
    }
    expect(recorded.messages).toHaveLength(6);
    const lasting = recorded.lasting.filter(({ frame: { length } }) => length > 1000);
    expect(lasting).toHaveLength(2);
    for (const { frame: now, was } of recorded.lasting) expect(now.equals(was)).toBe(true);
    for (const { frame: now } of lasting) {
      expect(now.buffer.byteLength).toBeLessThan(large.length * (1 + 1 / 16));
    }
  });

  it('does not last while more of what came waits for its turn', () => {
    const recorded = Recorded.shaken(limits);
    const { connection } = recorded;
    const bytes = Buffer.concat([message('head', large), frame(0, 'a'), frame(0, 'b')]);
    connection.receive(bytes, 0, bytes.length, 0);
    expect(connection.proceed(0, 1)).toBe(1);
    expect(recorded.lasting).toEqual([]);
    expect(connection.proceed(0, 10)).toBe(2);
    for (const { frame: now, was } of recorded.lasting) expect(now.equals(was)).toBe(true);
    expect(recorded.messages.at(-1)).toEqual(['b']);
  });

  it('with many small frames behind the large one is copied a few times only', () => {
    const { connection } = Recorded.shaken(limits);
    const small = Array.from({ length: 250 }, () => frame(MORE, 'x'));
    const bytes = Buffer.concat([frame(MORE, large), ...small]);
    let sizes = 0;
    let last = 0;
    const told = (): void => {
      if (connection.carriedBytes !== last) sizes++;
      last = connection.carriedBytes;
    };
    for (let at = 0; at < large.length; at += 50_000) {
      connection.receive(bytes.subarray(at, Math.min(at + 50_000, large.length)), 0);
    }
    for (let at = large.length; at < bytes.length; at++) {
      connection.receive(bytes.subarray(at, at + 1), 0);
      told();
    }
    expect(sizes).toBeLessThan(10);
  });
});

/** Each of its messages is answered by so many bytes. */
class Answering extends Recorded {
  readonly #bytes: number;

  constructor(bytes: number) {
    super();
    this.#bytes = bytes;
    this.receive(HANDSHAKE);
    this.sent();
  }

  override message(frames: Frames): void {
    super.message(frames);
    this.connection.output.append(Buffer.alloc(this.#bytes), 0, this.#bytes);
  }
}

describe('many messages in one segment (D76)', () => {
  const bytes = Buffer.concat(Array.from({ length: 100 }, (_, at) => frame(0, String(at))));

  it('are handled until their time is spent; the rest waits, and is handled in order', () => {
    const { connection, messages } = Recorded.shaken();
    const recorded = Recorded.shaken();
    expect(recorded.connection.receive(bytes, 0, bytes.length, 1000, () => true)).toBe(32);
    expect(recorded.connection.hasRest).toBe(true);
    expect(recorded.connection.proceed(0, 1000, () => true)).toBe(32);
    expect(recorded.connection.proceed(0, 1000, () => false)).toBe(36);
    expect(recorded.connection.hasRest).toBe(false);
    expect(connection.receive(bytes, 0)).toBe(100);
    expect(recorded.messages).toEqual(messages);
  });

  it('wait behind so many bytes of answers', () => {
    const { connection, messages } = Recorded.shaken();
    // What waited before does not count.
    connection.output.append(Buffer.alloc(100_000), 0, 100_000);
    expect(connection.receive(bytes, 0, bytes.length, 1000, () => false)).toBe(100);
    const answering = new Answering(50_000);
    expect(answering.connection.receive(bytes, 0, bytes.length, 1000, () => false)).toBe(3);
    expect(answering.connection.hasRest).toBe(true);
    expect(answering.connection.proceed(0, 1000, () => false)).toBe(3);
    expect(messages).toHaveLength(100);
  });

  it('are looked at for their time once in 32, and fewer not at all', () => {
    const { connection } = Recorded.shaken();
    let looked = 0;
    const isSpent = (): boolean => ++looked > 1000;
    expect(connection.receive(bytes, 0, bytes.length, 1000, isSpent)).toBe(100);
    expect(looked).toBe(3);
    const few = frame(0, 'x');
    connection.receive(few, 0, few.length, 1000, isSpent);
    expect(looked).toBe(3);
  });
});

describe('flags (23/ZMTP §Framing)', () => {
  it.each([8, 16, 32, 64, 128, 5, 7, 0xff])('%d are refused at their byte', (flags) => {
    const recorded = Recorded.shaken().receive(Buffer.from([flags, 1, 0x78]));
    expect(recorded.failure).toBe('failed protocol: unknown frame flags');
    const inside = Recorded.shaken().receive(frame(MORE, 'a'), Buffer.from([flags, 1, 0x78]));
    expect(inside.failure).toBe('failed protocol: unknown frame flags');
  });
});

describe('commands between messages (37/ZMTP §Heartbeating)', () => {
  it.each(Array.from({ length: 17 }, (_, bytes) => bytes))(
    'PING with a context of %d bytes is answered with it',
    (bytes) => {
      const context = 'c'.repeat(bytes);
      const recorded = Recorded.shaken().receive(commandFrame('PING', `\x00\x64${context}`));
      expect(recorded.sent().equals(commandFrame('PONG', context))).toBe(true);
      expect(recorded.told).toEqual(['ready DEALER']);
    },
  );

  it.each([
    ['no time to live', ''],
    ['half of one', '\0'],
    ['a context of 17 bytes', `\0\0${'c'.repeat(17)}`],
  ])('PING with %s is refused', (_, data) => {
    const recorded = Recorded.shaken().receive(commandFrame('PING', data));
    expect(recorded.failure).toBe('failed protocol: a malformed PING');
  });

  it("a PING's time to live is that of the last one (37/ZMTP §Connection Heartbeating)", () => {
    const recorded = Recorded.shaken();
    expect(recorded.connection.ttlMs).toBe(0);
    recorded.receive(commandFrame('PING', '\x01\x02'));
    expect(recorded.connection.ttlMs).toBe(0x102 * 100);
    recorded.receive(commandFrame('PING', '\0\0'));
    expect(recorded.connection.ttlMs).toBe(0);
    recorded.connection.expire('silent for longer than announced');
    expect(recorded.failure).toMatch(/^failed silent: silent for longer/);
  });

  it('PONG, and what later versions bring, are passed over; so is a long frame of them', () => {
    const recorded = Recorded.shaken();
    recorded.receive(commandFrame('PONG', 'x'), commandFrame('SUBSCRIBE', 'x'));
    recorded.receive(frame(COMMAND | LONG, '\x04NEWSand more'), message('x'));
    expect(recorded.sent()).toHaveLength(0);
    expect(recorded.told).toEqual(['ready DEALER', 'message']);
  });

  it('ERROR, a command without a name, or one that is too large end the connection', () => {
    const ended = (bytes: Buffer): string => Recorded.shaken().receive(bytes).failure;
    expect(ended(commandFrame('ERROR', '\0'))).toBe('failed protocol: the peer sent an ERROR');
    for (const body of ['', '\0', '\x05PING', '\xff']) {
      expect(ended(frame(COMMAND, body))).toBe('failed protocol: a command without a name');
    }
    const head = frame(COMMAND, '', 1025n);
    expect(ended(head)).toBe('failed protocol: a command is too large');
    expect(ended(frame(COMMAND, '', 1n << 63n))).toBe('failed protocol: a command is too large');
  });

  it('are 200 a second at most, however long it goes on', () => {
    const recorded = Recorded.shaken();
    const ping = commandFrame('PING', '\0\0');
    for (let second = 0; second < 5; second++) {
      recorded.now = 1000 * (second + 1);
      for (let count = 0; count < 200; count++) recorded.receive(ping);
    }
    expect(recorded.failure).toBe('');
    recorded.receive(ping);
    expect(recorded.failure).toBe('failed protocol: too many commands in a second');
    expect(recorded.sent().length).toBe(1000 * commandFrame('PONG').length);
  });

  it('of a peer that never reads are not answered without end', () => {
    const recorded = Recorded.shaken();
    const ping = commandFrame('PING', `\0\0${'c'.repeat(16)}`);
    for (let count = 0; count < 20_000; count++) {
      recorded.now += 10;
      recorded.receive(ping);
    }
    expect(recorded.failure).toBe('');
    expect(recorded.connection.output.bytes).toBeLessThan(70_000);
    recorded.sent();
    recorded.receive(ping);
    expect(recorded.sent().equals(commandFrame('PONG', 'c'.repeat(16)))).toBe(true);
  });

  it('may stand between the frames of a message, as libzmq puts its PING; bounded', () => {
    const ping = commandFrame('PING', '\0\0');
    const recorded = Recorded.shaken();
    recorded.receive(frame(MORE, 'a'), ping, frame(MORE, 'b'), ping);
    recorded.receive(frame(0, 'c'));
    expect(recorded.messages).toEqual([['a', 'b', 'c']]);
    expect(recorded.sent().length).toBe(2 * commandFrame('PONG').length);
    const endless = Recorded.shaken().receive(frame(MORE, 'a'));
    for (let count = 0; count < 100 && endless.failure === ''; count++) {
      endless.now += 100;
      endless.receive(commandFrame('NEWS', 'x'.repeat(1000)));
    }
    expect(endless.failure).toBe('failed protocol: too many commands inside of a message');
  });

  it('are asked by us with no time to live and no context, of a peer that knows them', () => {
    const recorded = Recorded.shaken();
    recorded.connection.ping();
    expect(recorded.sent().equals(commandFrame('PING', '\0\0'))).toBe(true);
    const early = new Recorded();
    early.sent();
    early.connection.ping();
    expect(early.sent()).toHaveLength(0);
  });
});
