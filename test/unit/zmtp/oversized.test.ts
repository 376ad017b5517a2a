import { commandFrame, frame, LONG, message, MORE, Recorded } from './wire.js';

const LIMITS = { messageBytesMax: 1000, framesMax: 8, skipsOversized: true };
const KIB5 = 'k'.repeat(5 * 1024);

/** What it says, after the handshake. */
function told(recorded: Recorded): string[] {
  return recorded.told.slice(1);
}

describe('a message over the limits (D100)', () => {
  const over = message('id', '', 'MDPC02', '\x01', 'echo', Buffer.alloc(1001));

  it('is skipped, and told with its head and both sizes; the next message is read', () => {
    const recorded = Recorded.shaken(LIMITS).receive(Buffer.concat([over, message('next')]));
    expect(told(recorded)).toEqual([
      'oversized: a message of 1014 bytes, at most 1000 are allowed',
      'message',
    ]);
    expect(recorded.heads).toEqual([['id', '', 'MDPC02', '\x01', 'echo', '']]);
    expect(recorded.messages).toEqual([['next']]);
  });

  it('is skipped in pieces of any size, and nothing of its body is kept', () => {
    const bytes = Buffer.concat([message('first'), over, over, message('next')]);
    for (const piece of [1, 2, 3, 7, 64, 500, 1030]) {
      const recorded = Recorded.shaken(LIMITS);
      let most = 0;
      for (let at = 0; at < bytes.length; at += piece) {
        recorded.receive(bytes.subarray(at, at + piece));
        most = Math.max(most, recorded.connection.carriedBytes);
      }
      expect(recorded.messages).toEqual([['first'], ['next']]);
      expect(recorded.heads).toHaveLength(2);
      // The head's frames, and a buffer that stays with its connection.
      expect(most).toBeLessThan(2300);
      expect(recorded.connection.isInterrupted).toBe(false);
    }
  });

  it('is a message that has begun, until its end', () => {
    const recorded = Recorded.shaken(LIMITS).receive(over.subarray(0, -1));
    expect(recorded.connection.isInterrupted).toBe(true);
    expect(recorded.connection.isReady).toBe(true);
    expect(told(recorded)).toEqual([]);
    expect(told(recorded.receive(over.subarray(-1)))).toHaveLength(1);
  });

  it('may have more frames after the one that was too long, which count', () => {
    const recorded = Recorded.shaken(LIMITS).receive(
      message('a', Buffer.alloc(2000), '', Buffer.alloc(300), 'z'),
      message('next'),
    );
    expect(told(recorded)).toEqual([
      'oversized: a message of 2302 bytes, at most 1000 are allowed',
      'message',
    ]);
    expect(recorded.heads).toEqual([['a', '']]);
  });

  it('has no frames in its head that do not end in its first 4 KiB', () => {
    const limits = { ...LIMITS, messageBytesMax: 12 * 1024 };
    const recorded = Recorded.shaken(limits).receive(message('id', KIB5, 'small', KIB5, KIB5));
    expect(recorded.heads).toEqual([['id', '', '', '', '']]);
  });

  it('of too many frames is skipped, too', () => {
    const nine = Array.from({ length: 9 }, () => 'x');
    const recorded = Recorded.shaken(LIMITS).receive(message(...nine), message(...nine.slice(1)));
    expect(told(recorded)).toEqual([
      'oversized: a message of 9 frames, at most 8 are allowed',
      'message',
    ]);
    expect(recorded.heads).toEqual([[...nine.slice(1), '']]);
  });

  it('is no reason not to answer a PING between its frames', () => {
    const ping = commandFrame('PING', Buffer.from('\0\0ctx', 'latin1'));
    const recorded = Recorded.shaken(LIMITS);
    recorded.receive(frame(MORE, Buffer.alloc(2000)), ping, frame(MORE, ''), ping, frame(0, 'z'));
    expect(recorded.sent().toString('latin1').split('PONGctx')).toHaveLength(3);
    expect(told(recorded)).toEqual([
      'oversized: a message of 2001 bytes, at most 1000 are allowed',
    ]);
  });

  it('costs its connection units of its turn, piece by piece', () => {
    const { connection } = Recorded.shaken(LIMITS);
    const many = message(...Array.from({ length: 100 }, () => ''));
    expect(connection.receive(many, 0, many.length, 50)).toBe(50);
    expect(connection.hasRest).toBe(true);
    // One of them was the beginning of the message.
    expect(connection.proceed(0, 1000)).toBe(43);
    expect(connection.hasRest).toBe(false);
  });

  it.each([
    ['64 times the bytes in one frame', frame(LONG, '', 64_001n), /of 64001 bytes/],
    ['2^63 bytes', frame(LONG, '', 1n << 63n), /of 9223372036854776000 bytes/],
    [
      '64 times the bytes in all',
      Buffer.concat([frame(MORE, Buffer.alloc(64_000)), frame(0, '', 1n)]),
      /of 64001 bytes/,
    ],
    ['64 times the frames', Buffer.alloc(2000, Buffer.from([MORE, 0])), /of 513 frames/],
  ])('of more than %s ends its connection', (_, bytes, reason) => {
    const recorded = Recorded.shaken(LIMITS).receive(bytes);
    expect(told(recorded)).toHaveLength(1);
    expect(recorded.failure).toMatch(/^failed too_large: .* too long to be skipped$/);
    expect(recorded.failure).toMatch(reason);
    expect(recorded.connection.carriedBytes).toBe(0);
  });

  it('of 64 times a limit is skipped', () => {
    const recorded = Recorded.shaken(LIMITS).receive(message(Buffer.alloc(64_000)), message('x'));
    expect(recorded.messages).toEqual([['x']]);
  });

  it('ends its connection for what is no ZMTP, as any other', () => {
    const flags = Recorded.shaken(LIMITS).receive(frame(MORE, Buffer.alloc(2000)), frame(0x40, ''));
    expect(flags.failure).toBe('failed protocol: unknown frame flags');
    const command = commandFrame('X', Buffer.alloc(2000));
    const large = Recorded.shaken(LIMITS).receive(frame(MORE, Buffer.alloc(2000)), command);
    expect(large.failure).toBe('failed protocol: a command is too large');
  });
});
