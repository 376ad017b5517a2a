import fc from 'fast-check';

import { cutAt, commandFrame, frame, HANDSHAKE, LONG, message, MORE, Recorded } from './wire.js';

const PING = commandFrame('PING', '\0\0ctx');
const PONG = commandFrame('PONG', 'ctx');

const body = fc.oneof(
  { weight: 4, arbitrary: fc.uint8Array({ maxLength: 12 }) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 250, maxLength: 700 }) },
);

/** One message: its bodies, each in a short or a long frame, and a PING before it or not. */
const sentMessage = fc.array(
  fc.record({ body, long: fc.boolean(), ping: fc.integer({ min: 0, max: 6 }) }),
  { minLength: 1, maxLength: 6 },
);

interface SentFrame {
  readonly body: Uint8Array;
  readonly long: boolean;
  readonly ping: number;
}

/** libzmq puts its PING before any frame, also inside of a message. */
function bytesOf(sent: readonly SentFrame[]): Buffer {
  return Buffer.concat(
    sent.map((one, index) => {
      const flags = (index < sent.length - 1 ? MORE : 0) | (one.long ? LONG : 0);
      const bytes = frame(flags, Buffer.from(one.body));
      return one.ping === 0 ? Buffer.concat([PING, bytes]) : bytes;
    }),
  );
}

describe('a byte stream', () => {
  it('in any segments gives the same messages, and each PING is answered once', () => {
    const cuts = fc.array(fc.nat(6000), { maxLength: 60 });
    fc.assert(
      fc.property(fc.array(sentMessage, { maxLength: 8 }), cuts, (sent, offsets) => {
        const bytes = Buffer.concat([HANDSHAKE, ...sent.map(bytesOf)]);
        const inside = offsets.filter((offset) => offset < bytes.length);
        const recorded = new Recorded().receive(...cutAt(bytes, inside));
        expect(recorded.messages).toEqual(
          sent.map((frames) => frames.map((one) => Buffer.from(one.body).toString('latin1'))),
        );
        expect(recorded.told).toEqual(['ready DEALER', ...sent.map(() => 'message')]);
        const pings = sent.flat().filter((one) => one.ping === 0).length;
        const answers = recorded.sent().toString('latin1').split(PONG.toString('latin1'));
        expect(answers.length - 1).toBe(pings);
        expect(recorded.connection.isInterrupted).toBe(false);
        expect(recorded.connection.carriedBytes).toBeLessThanOrEqual(1024);
      }),
      { numRuns: 150 },
    );
  });

  it('cut once at every byte, and at all of them, gives the same messages', () => {
    const bytes = Buffer.concat([
      HANDSHAKE,
      message('', 'MDPC02', '', 'x'.repeat(300)),
      PING,
      frame(MORE, 'a'),
      PING,
      frame(LONG, 'b'),
      message('last'),
    ]);
    const whole = new Recorded().receive(bytes);
    expect(whole.messages).toEqual([['', 'MDPC02', '', 'x'.repeat(300)], ['a', 'b'], ['last']]);
    for (let at = 1; at < bytes.length; at++) {
      const cut = new Recorded().receive(bytes.subarray(0, at), bytes.subarray(at));
      expect(cut.messages).toEqual(whole.messages);
      expect(cut.sent().equals(new Recorded().receive(bytes).sent())).toBe(true);
    }
    const single = new Recorded().receive(...[...bytes].map((byte) => Buffer.from([byte])));
    expect(single.messages).toEqual(whole.messages);
    expect(single.sent().equals(whole.sent())).toBe(true);
  });

  it('of a million one-byte segments takes time in proportion, also inside of one frame', () => {
    const total = 1_000_000;
    const small = Buffer.concat(Array.from({ length: 100 }, () => message('a', '', 'b', 'c')));
    const many = Recorded.shaken();
    const big = Recorded.shaken({ messageBytesMax: 2 * total, framesMax: 8 });
    const frames = Recorded.shaken({ messageBytesMax: total, framesMax: total });
    const one = Buffer.alloc(1);
    const elapsed = (recorded: Recorded, at: (index: number) => number, count: number): number => {
      const from = performance.now();
      for (let index = 0; index < count; index++) {
        one[0] = at(index);
        recorded.connection.receive(one, 0);
      }
      return performance.now() - from;
    };
    const reference = elapsed(many, (index) => small[index % small.length] ?? 0, total);
    big.receive(frame(0, Buffer.alloc(0), BigInt(total)));
    const inside = elapsed(big, () => 7, total);
    expect(big.messages.map(([text]) => text?.length)).toEqual([total]);
    // 200 frames of a message that does not end: each look at it begins at the front.
    const open = elapsed(frames, (index) => (index % 2 === 0 ? MORE : 0), 400);
    expect(frames.told).toEqual(['ready DEALER']);
    expect(many.messages.length).toBeGreaterThan(70_000);
    // Quadratic costs would be thousands of times the reference.
    expect(inside).toBeLessThan(reference * 20 + 2000);
    expect(open).toBeLessThan(reference * 20 + 2000);
  });

  it('of any bytes never throws, and is refused once at most', () => {
    const prefixes = [Buffer.alloc(0), HANDSHAKE.subarray(0, 64), HANDSHAKE];
    const telling = fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7, 0x7f, 0xff);
    const byte = fc.oneof(telling, fc.nat(255));
    fc.assert(
      fc.property(
        fc.constantFrom(...prefixes),
        fc.array(byte, { maxLength: 400 }),
        fc.array(fc.nat(500), { maxLength: 20 }),
        (prefix, random, offsets) => {
          const bytes = Buffer.concat([prefix, Buffer.from(random)]);
          const inside = offsets.filter((offset) => offset < bytes.length);
          const cut = new Recorded().receive(...cutAt(bytes, inside));
          const whole = new Recorded().receive(bytes);
          expect(cut.told).toEqual(whole.told);
          expect(cut.messages).toEqual(whole.messages);
          expect(cut.told.filter((line) => line.startsWith('failed')).length).toBeLessThan(2);
          expect(cut.connection.isFailed).toBe(cut.failure !== '');
        },
      ),
      { numRuns: 600 },
    );
  });

  it('that was refused is not read any more, nor is one that was closed', () => {
    const refused = Recorded.shaken().receive(Buffer.from([0x80, 0]), message('x'));
    expect(refused.told).toEqual(['ready DEALER', 'failed protocol: unknown frame flags']);
    const closed = Recorded.shaken().receive(message('x').subarray(0, 2));
    closed.connection.close();
    closed.receive(message('y'));
    expect(closed.told).toEqual(['ready DEALER']);
    expect(closed.connection.carriedBytes).toBe(0);
  });
});
