import fc from 'fast-check';

import { Frames } from '../../../src/core/frames.js';
import {
  COUNT_MAX,
  DURATION_MS_MAX,
  SEQUENCE_MAX,
  TRANSACTION_MAX,
} from '../../../src/core/numbers.js';
import { type Shape, shown } from '../../../src/core/shapes.js';
import {
  PEER_FIELDS,
  PEER_ROLES,
  PEER_STATES,
  PEER_VERSION,
  type PeerMessage,
  REPLICATIONS,
  SECOND_FRAME,
} from '../../../src/wire/pair.js';
import { readPeer, writePeer } from '../../../src/wire/pair-codec.js';
import { itemsBelow, page } from '../docs/page.js';

function framesOf(buffers: readonly Uint8Array[]): Frames {
  const frames = new Frames();
  for (const each of buffers) frames.push(Buffer.from(each), 0, each.length);
  return frames;
}

const number = fc.nat({ max: SEQUENCE_MAX });
const count = fc.nat({ max: COUNT_MAX });
const transaction = fc.nat({ max: TRANSACTION_MAX });
const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes));
const blob = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const holds = fc.record({ storeId: id, upTo: transaction, bodiesUpTo: transaction });
const maybeHolds = fc.option(holds);

const message: fc.Arbitrary<PeerMessage> = fc.oneof(
  fc.record({
    kind: fc.constant('hello' as const),
    pair: fc.string(),
    role: fc.constantFrom(...PEER_ROLES),
    replication: fc.constantFrom(...REPLICATIONS),
    heartbeatIntervalMs: fc.nat({ max: DURATION_MS_MAX }),
    node: fc.string(),
    storeId: fc.option(id),
    nonce: id,
    epoch: number,
    resumes: fc.option(id),
    publicUrl: fc.option(fc.string()),
  }),
  fc.record({ kind: fc.constant('proof' as const), nonce: id }),
  fc.record({ kind: fc.constant('refuse' as const), reason: fc.string() }),
  fc.record({
    kind: fc.constant('status' as const),
    state: fc.constantFrom(...PEER_STATES),
    offers: fc.boolean(),
    epoch: number,
    holds: maybeHolds,
    keys: fc.option(id),
    listenerKeys: fc.option(fc.tuple(id, id).map((ids) => Buffer.concat(ids))),
  }),
  fc.record({ kind: fc.constant('join' as const), epoch: number, holds: maybeHolds }),
  fc.record({
    kind: fc.constant('records' as const),
    epoch: number,
    index: number,
    isLast: fc.boolean(),
    holds,
    records: blob,
  }),
  fc.record({
    kind: fc.constant('taken' as const),
    epoch: number,
    index: number,
    number: transaction,
    joined: count,
    ranTwice: count,
  }),
  fc.record({
    kind: fc.constant('update' as const),
    epoch: number,
    number: transaction,
    holdsUpTo: transaction,
    batch: blob,
  }),
  fc.record({
    kind: fc.constant('confirm' as const),
    epoch: number,
    number: transaction,
    became: transaction,
  }),
  fc.record({
    kind: fc.constantFrom('probe' as const, 'probed' as const),
    epoch: number,
    number: transaction,
  }),
);

/** This one, and a later one. */
const version = fc.constantFrom(PEER_VERSION, PEER_VERSION + 1);

const HELLO = {
  kind: 'hello',
  role: 'backup',
  replication: 'sync',
  heartbeatIntervalMs: 1000,
  pair: 'a',
  node: 'b',
  storeId: Buffer.alloc(16, 3),
  nonce: Buffer.alloc(16, 4),
  epoch: 7,
} as const;

describe('messages of the pair (docs/peer-protocol.md)', () => {
  it('are read as they were written, in each version that the reader knows', () => {
    fc.assert(
      fc.property(message, version, number, number, (sent, spoken, incarnation, sequence) => {
        const stamp = { incarnation, sequence };
        const read = readPeer(framesOf(writePeer(sent, stamp, spoken)), PEER_VERSION + 1);
        expect(read).toEqual({ version: spoken, stamp, message: sent });
      }),
    );
  });

  it('have names and reasons of one line: the log prints them', () => {
    const stamp = { incarnation: 1, sequence: 1 };
    const read = (sent: PeerMessage): unknown =>
      readPeer(framesOf(writePeer(sent, stamp, PEER_VERSION)), PEER_VERSION);
    const hello = { ...HELLO, node: 'b\r\nc\u001b[2J', resumes: null, publicUrl: null };
    expect(read(hello)).toMatchObject({ message: { node: 'b\ufffd\ufffdc\ufffd[2J' } });
    const reason = 'no\u2028yes';
    expect(read({ kind: 'refuse', reason })).toMatchObject({ message: { reason: 'no\ufffdyes' } });
  });

  it('have the bytes that docs/peer-protocol.md says', () => {
    const stamp = { incarnation: 5, sequence: 6 };
    const [head] = writePeer({ ...HELLO, resumes: null, publicUrl: null }, stamp);
    const fields = [
      ...['01 0001 01', '02 0001 02', '03 0008 00000000000003e8', '04 0003 000161'],
      ...['05 0003 000162', `06 0011 01${'03'.repeat(16)}`, `07 0010 ${'04'.repeat(16)}`],
      '08 0008 0000000000000007',
    ];
    expect(head?.toString('hex')).toBe(
      `4d4a50010000000000000000050000000000000006${fields.join('').replaceAll(' ', '')}`,
    );
  });

  it('have the fields that docs/peer-protocol.md says', () => {
    const items = Object.entries(PEER_FIELDS).map(([kind, fields], at) => {
      const list = Object.entries<Shape<unknown>>(fields).map(([name, shape], number) => {
        const field = shown({ [name]: shape });
        return shape === SECOND_FRAME ? field : `${number + 1} ${field}`;
      });
      return `${at} ${kind.toUpperCase()}: ${list.join(', ')}`;
    });
    const listed = itemsBelow(page('peer-protocol.md'), '### The messages');
    expect(listed.filter((item) => /^\d/.test(item))).toEqual(items);
  });

  it('may have fields that this program does not know: they are passed over', () => {
    const known = fc.integer({ min: 0, max: 12 });
    fc.assert(
      fc.property(message, fc.uint8Array({ maxLength: 100 }), known, (sent, value, more) => {
        const stamp = { incarnation: 1, sequence: 1 };
        const [head = Buffer.alloc(0), ...rest] = writePeer(sent, stamp);
        const field = Buffer.from([100 + more, 0, value.length, ...value]);
        // Before the others, and behind them.
        const all = [head.subarray(0, 21), field, head.subarray(21), Buffer.from(field)];
        all[3]?.writeUInt8(200, 0);
        const read = readPeer(framesOf([Buffer.concat(all), ...rest]));
        expect(read).toEqual({ version: PEER_VERSION, stamp, message: sent });
      }),
    );
  });

  it('may be of a kind that this program does not know', () => {
    const stamp = { incarnation: 1, sequence: 1 };
    const [head = Buffer.alloc(0)] = writePeer({ kind: 'probe', epoch: 1, number: 1 }, stamp);
    head[4] = 77;
    expect(readPeer(framesOf([head, Buffer.alloc(3)]))).toEqual({
      version: PEER_VERSION,
      stamp,
      message: null,
    });
  });

  it('are refused when a byte is missing or too many, whatever the kind', () => {
    fc.assert(
      fc.property(message, fc.boolean(), (sent, isLonger) => {
        const stamp = { incarnation: 1, sequence: 1 };
        const [head = Buffer.alloc(0), ...rest] = writePeer(sent, stamp);
        const other = isLonger ? Buffer.concat([head, Buffer.alloc(1)]) : head.subarray(0, -1);
        expect(readPeer(framesOf([other, ...rest]))).toBeNull();
      }),
    );
  });

  it('arbitrary bytes are no message, and do no harm', () => {
    const magic = Buffer.from(`MJP${String.fromCharCode(PEER_VERSION)}`, 'latin1');
    const bytes = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(bytes, fc.boolean(), fc.option(bytes), (head, isMarked, second) => {
        const first = isMarked ? Buffer.concat([magic, head]) : Buffer.from(head);
        expect(() => readPeer(framesOf(second === null ? [first] : [first, second]))).not.toThrow();
      }),
      { numRuns: 2000 },
    );
  });

  it('a number out of the range of its kind makes them malformed (D104)', () => {
    const stamp = { incarnation: 5, sequence: 6 };
    const holds = { storeId: Buffer.alloc(16), upTo: TRANSACTION_MAX, bodiesUpTo: 0 };
    const join = { kind: 'join', epoch: SEQUENCE_MAX, holds } as const;
    const isRead = (sent: PeerMessage, its = stamp): boolean =>
      readPeer(framesOf(writePeer(sent, its))) !== null;
    expect([isRead(join), isRead({ kind: 'probe', epoch: 1, number: TRANSACTION_MAX })]).toEqual([
      true,
      true,
    ]);
    const hello = { ...HELLO, resumes: null, publicUrl: null };
    const taken = { kind: 'taken', epoch: 1, index: 1, number: 1, joined: 1, ranTwice: 0 } as const;
    const refused: readonly PeerMessage[] = [
      { ...join, epoch: SEQUENCE_MAX + 1 },
      { ...join, holds: { ...holds, upTo: TRANSACTION_MAX + 1 } },
      { ...hello, heartbeatIntervalMs: DURATION_MS_MAX + 1 },
      { ...taken, joined: COUNT_MAX + 1 },
      { ...taken, index: 2 ** 53 },
      { kind: 'confirm', epoch: 1, number: 1, became: 2 ** 53 },
    ];
    expect(refused.filter((each) => isRead(each))).toEqual([]);
    expect(isRead(join, { ...stamp, sequence: 2 ** 48 })).toBe(false);
  });

  it('another version is told as such', () => {
    const [head = Buffer.alloc(0)] = writePeer(
      { kind: 'probe', epoch: 1, number: 1 },
      { incarnation: 1, sequence: 1 },
    );
    for (const other of [0, PEER_VERSION + 1]) {
      head[3] = other;
      expect(readPeer(framesOf([head]))).toEqual({ otherVersion: other });
    }
  });
});
