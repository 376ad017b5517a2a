import { describe, expect, it } from '@jest/globals';

import { Frames } from '../../../src/core/frames.js';
import { Connection } from '../../../src/zmtp/connection.js';
import { NullMechanism } from '../../../src/zmtp/null.js';
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
    recorded.connection.expire();
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
