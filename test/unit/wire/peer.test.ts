import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { Frames } from '../../../src/core/frames.js';
import {
  PEER_ROLES,
  PEER_STATES,
  PEER_VERSION,
  type PeerMessage,
  readPeer,
  REPLICATIONS,
  writePeer,
} from '../../../src/wire/peer.js';

function framesOf(buffers: readonly Uint8Array[]): Frames {
  const frames = new Frames();
  for (const each of buffers) frames.push(Buffer.from(each), 0, each.length);
  return frames;
}

const number = fc.maxSafeNat();
const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes));
const blob = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const holds = fc.record({ storeId: id, upTo: number, bodiesUpTo: number });
const maybeHolds = fc.option(holds);

const message: fc.Arbitrary<PeerMessage> = fc.oneof(
  fc.record({
    kind: fc.constant('hello' as const),
    pair: fc.string(),
    role: fc.constantFrom(...PEER_ROLES),
    replication: fc.constantFrom(...REPLICATIONS),
    heartbeatIntervalMs: number,
    node: fc.string(),
    storeId: fc.option(id),
    nonce: id,
  }),
  fc.record({ kind: fc.constant('proof' as const), nonce: id }),
  fc.record({ kind: fc.constant('refuse' as const), reason: fc.string() }),
  fc.record({
    kind: fc.constant('status' as const),
    state: fc.constantFrom(...PEER_STATES),
    offers: fc.boolean(),
    epoch: number,
    holds: maybeHolds,
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
    number,
    joined: number,
    ranTwice: number,
  }),
  fc.record({
    kind: fc.constant('update' as const),
    epoch: number,
    number,
    holdsUpTo: number,
    batch: blob,
  }),
  fc.record({ kind: fc.constant('confirm' as const), epoch: number, number, became: number }),
  fc.record({ kind: fc.constantFrom('probe' as const, 'probed' as const), epoch: number, number }),
);

describe('messages of the pair (docs/peer-protocol.md)', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(message, number, number, (sent, incarnation, count) => {
        const stamp = { incarnation, sequence: count };
        expect(readPeer(framesOf(writePeer(sent, stamp)))).toEqual({ stamp, message: sent });
      }),
    );
  });

  it('are refused when a byte is missing or too many, whatever the kind', () => {
    fc.assert(
      fc.property(message, fc.boolean(), (sent, isLonger) => {
        const [head = Buffer.alloc(0), ...rest] = writePeer(sent, { incarnation: 1, sequence: 1 });
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

  it('another version is told as such', () => {
    const [head = Buffer.alloc(0)] = writePeer(
      { kind: 'probe', epoch: 1, number: 1 },
      { incarnation: 1, sequence: 1 },
    );
    head[3] = 9;
    expect(readPeer(framesOf([head]))).toEqual({ otherVersion: 9 });
  });
});
