import { commandFrame, DEALER, greetingOf, HANDSHAKE, Recorded } from './wire.js';

/** 23/ZMTP §Greeting, §The NULL mechanism. */
const OUR_GREETING = `ff00000000000000007f0301${'4e554c4c'.padEnd(40, '0')}${'00'.repeat(32)}`;
const OUR_READY =
  '04290552454144590b536f636b65742d5479706500000006524f55544552084964656e7469747900000000';
/** Of libzmq 4.3.4, read from its socket: greeting and READY of a DEALER "one", a REQ, a ROUTER. */
const LIBZMQ_GREETING = (length: string): string =>
  `ff000000000000000${length}7f0301${'4e554c4c'.padEnd(40, '0')}${'00'.repeat(32)}`;
const LIBZMQ_DEALER =
  '042c0552454144590b536f636b65742d54797065000000064445414c4552084964656e74697479000000036f6e65';
const LIBZMQ_REQ =
  '04260552454144590b536f636b65742d5479706500000003524551084964656e7469747900000000';
const LIBZMQ_ROUTER =
  '04290552454144590b536f636b65742d5479706500000006524f55544552084964656e7469747900000000';

describe('the greeting (23/ZMTP §Greeting)', () => {
  it('is 64 bytes as the specification writes them, then READY with type and identity', () => {
    const eager = new Recorded(undefined, 'ROUTER', false);
    expect(eager.sent().toString('hex')).toBe(OUR_GREETING);
    eager.receive(greetingOf());
    expect(eager.sent().toString('hex')).toBe(OUR_READY);
  });

  it('shows 11 bytes of itself until the mechanism of the peer is known, or it is asked to', () => {
    const waiting = new Recorded();
    expect(waiting.sent().toString('hex')).toBe(OUR_GREETING.slice(0, 22));
    waiting.receive(greetingOf().subarray(0, 63));
    expect(waiting.sent()).toHaveLength(0);
    waiting.connection.showGreeting();
    waiting.connection.showGreeting();
    expect(waiting.sent().toString('hex')).toBe(OUR_GREETING.slice(22));
    waiting.receive(greetingOf().subarray(63));
    expect(waiting.sent().toString('hex')).toBe(OUR_READY);
  });

  it.each([
    ['DEALER', LIBZMQ_GREETING('4'), LIBZMQ_DEALER, 'one'],
    ['REQ', LIBZMQ_GREETING('1'), LIBZMQ_REQ, ''],
    ['ROUTER', LIBZMQ_GREETING('1'), LIBZMQ_ROUTER, ''],
  ])("of libzmq's %s is understood", (type, hello, command, identity) => {
    const recorded = new Recorded().receive(Buffer.from(hello, 'hex'), Buffer.from(command, 'hex'));
    expect(recorded.told).toEqual([`ready ${type}`]);
    expect(recorded.identity?.toString()).toBe(identity);
    expect(recorded.connection.canPing).toBe(true);
  });

  it.each([0, 8, 0xff])('takes any byte %d that ZMTP 1.0 would read as a length', (byte) => {
    const bytes = Buffer.from(HANDSHAKE);
    bytes.fill(byte, 1, 9);
    expect(new Recorded().receive(bytes).told).toEqual(['ready DEALER']);
  });

  it('takes minor versions to come, and majors; 3.0 is not asked for signs of life', () => {
    for (const parts of [{ minor: 9 }, { major: 4, minor: 1 }]) {
      const recorded = new Recorded().receive(greetingOf(parts), DEALER);
      expect(recorded.told).toEqual(['ready DEALER']);
    }
    const old = new Recorded().receive(greetingOf({ minor: 0 }), DEALER);
    old.sent();
    old.connection.ping();
    expect(old.sent()).toHaveLength(0);
  });

  it.each<[number, number, string]>([
    [0, 0x00, 'failed greeting: not ZMTP 3: no signature'],
    [0, 0x47, 'failed greeting: not ZMTP 3: no signature'],
    [0, 0xfe, 'failed greeting: not ZMTP 3: no signature'],
    [9, 0x00, 'failed greeting: not ZMTP 3: no signature'],
    [9, 0x7e, 'failed greeting: not ZMTP 3: no signature'],
    [10, 0, 'failed greeting: ZMTP 1.0 is too old: a listener with transport: libzmq speaks it'],
    [10, 2, 'failed greeting: a draft of ZMTP, older than 3.0'],
  ])('with byte %d of %d is refused at that byte, not later', (at, value, failure) => {
    const bytes = greetingOf();
    bytes[at] = value;
    const recorded = new Recorded().receive(...[...bytes].map((byte) => Buffer.from([byte])));
    expect(recorded.told).toEqual([failure]);
    const early = new Recorded().receive(bytes.subarray(0, at));
    expect(early.told).toEqual([]);
    expect(early.receive(bytes.subarray(at, at + 1)).told).toEqual([failure]);
  });

  it('of another mechanism is refused by name, after ours was shown whole', () => {
    for (const mechanism of ['CURVE', 'PLAIN', 'NULLX', 'null', '', 'x'.repeat(20)]) {
      const recorded = new Recorded().receive(greetingOf({ mechanism }), DEALER);
      expect(recorded.told).toEqual([
        `failed mechanism: the peer uses ${mechanism}, this side NULL`,
      ]);
      expect(recorded.sent().toString('hex')).toBe(OUR_GREETING);
    }
  });

  it('of a mechanism that is padded with anything but zero bytes is refused (37/ZMTP)', () => {
    for (const mechanism of ['NULL\0X', 'NULL\0\0\0 ', `NULL${'\0'.repeat(15)}\x01`]) {
      const recorded = new Recorded().receive(greetingOf({ mechanism }), DEALER);
      expect(recorded.told).toEqual([
        `failed mechanism: the peer uses ${mechanism.replace(/[\0\x01]/g, '?')}, this side NULL`,
      ]);
    }
  });

  it('shows nothing unprintable of what the peer wants', () => {
    const recorded = new Recorded().receive(greetingOf({ mechanism: 'a\nb\x1b[2J\xff' }));
    expect(recorded.failure).toBe('failed mechanism: the peer uses a?b?[2J?, this side NULL');
  });

  it.each([0, 1, 9, 10, 11, 12, 32, 63])('that stops after %d bytes is waited for', (bytes) => {
    const recorded = new Recorded().receive(greetingOf().subarray(0, bytes));
    expect(recorded.told).toEqual([]);
    expect(recorded.connection.isInterrupted).toBe(bytes > 0);
  });

  it('is answered once: a second one is no command', () => {
    const recorded = new Recorded().receive(greetingOf(), greetingOf());
    expect(recorded.told).toEqual(['failed handshake: no command in the handshake']);
  });
});

describe('the NULL handshake (23/ZMTP §The NULL mechanism)', () => {
  it.each<[string, Buffer]>([
    ['a message', Buffer.from([0, 1, 0x78])],
    ['a message followed by more', Buffer.from([1, 1, 0x78])],
    ['a command followed by more', Buffer.from([5, 1, 0x78])],
    ['flags that nobody knows', Buffer.from([0xf4, 1, 0x78])],
  ])('is ended by %s, at its first byte', (_, bytes) => {
    const recorded = new Recorded().receive(greetingOf(), bytes.subarray(0, 1));
    expect(recorded.told).toEqual(['failed handshake: no command in the handshake']);
  });

  it.each([4097, 65_536])('is ended by a command of %d bytes before they come', (size) => {
    const head = Buffer.alloc(9);
    head[0] = 6;
    head.writeBigUInt64BE(BigInt(size), 1);
    const recorded = new Recorded().receive(greetingOf(), head);
    expect(recorded.told).toEqual(['failed handshake: a handshake command is too large']);
    expect(recorded.connection.carriedBytes).toBe(0);
  });

  it('is ended by any command but READY; ERROR says why', () => {
    const other = new Recorded().receive(greetingOf(), commandFrame('HELLO'));
    expect(other.told).toEqual(['failed handshake: no READY in the handshake']);
    const empty = new Recorded().receive(greetingOf(), Buffer.from([4, 0]));
    expect(empty.told).toEqual(['failed handshake: no READY in the handshake']);
    const error = new Recorded().receive(greetingOf(), commandFrame('ERROR', '\x05no\n\x07!'));
    expect(error.told).toEqual(['failed handshake: the peer refused: no??!']);
  });

  it('is over with READY: a second one is passed over as a command', () => {
    const recorded = new Recorded().receive(HANDSHAKE, DEALER, Buffer.from([0, 1, 0x78]));
    expect(recorded.told).toEqual(['ready DEALER', 'message']);
  });
});
