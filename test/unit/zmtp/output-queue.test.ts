import fc from 'fast-check';

import type { Words } from '../../../src/core/bytes.js';
import { Frames } from '../../../src/core/frames.js';
import { pack, packedBytes } from '../../../src/core/packed.js';
import { recycle } from '../../../src/zmtp/connection/chunks.js';
import { OutputQueue, type Taken } from '../../../src/zmtp/connection/output-queue.js';
import { Recorded } from './wire.js';

/** Around the sizes of the chunks. */
const SIZES = [0, 1, 2, 1022, 1023, 1024, 1025, 2048, 65_535, 65_536, 65_537, 131_072, 200_000];

const size = fc.oneof(fc.constantFrom(...SIZES), fc.nat(3000));

function patterned(bytes: number, seed: number): Buffer {
  const period = Uint8Array.from({ length: 256 }, (_, index) => (index * 7 + seed) & 0xff);
  return Buffer.alloc(bytes, period);
}

function bytesOf(taken: Taken): Buffer {
  return Buffer.concat(taken.views);
}

describe('the output queue of a connection', () => {
  it('gives back what was appended, in order, whatever the sizes and the takes between', () => {
    fc.assert(
      fc.property(fc.array(fc.array(size, { maxLength: 8 }), { maxLength: 5 }), (rounds) => {
        const queue = new OutputQueue();
        for (const sizes of rounds) {
          const parts = sizes.map(patterned);
          for (const part of parts) queue.append(part, 0, part.length);
          const all = Buffer.concat(parts);
          expect(queue.bytes).toBe(all.length);
          const taken = queue.take();
          expect(taken.bytes).toBe(all.length);
          expect(bytesOf(taken).equals(all)).toBe(true);
          expect(queue.bytes).toBe(0);
          recycle(taken.chunks);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('gives out pieces, each chunk with the last of its bytes', () => {
    const part = fc.record({ bytes: size, isShared: fc.boolean() });
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 12 }),
        fc.integer({ min: 1, max: 200_000 }),
        (parts, most) => {
          const queue = new OutputQueue();
          const all = parts.map(({ bytes, isShared }) => {
            const bytesOfIt = patterned(bytes, bytes);
            if (isShared) queue.share(bytesOfIt, 0, bytes, null);
            else queue.append(bytesOfIt, 0, bytes);
            return bytesOfIt;
          });
          const { roomBytes } = queue;
          const taken: Taken[] = [];
          while (queue.bytes > 0) taken.push(queue.take(most));
          taken.push(queue.take());
          expect(Buffer.concat(taken.map(bytesOf)).equals(Buffer.concat(all))).toBe(true);
          expect(taken.filter(({ bytes }) => bytes > most)).toEqual([]);
          expect(taken.reduce((sum, piece) => sum + piece.roomBytes, 0)).toBe(roomBytes);
          expect(queue.roomBytes).toBe(0);
          const chunks = taken
            .flatMap((piece) => piece.chunks)
            .filter(({ bytes }) => bytes.length > 0);
          expect(new Set(chunks).size).toBe(chunks.length);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('does not copy what lasts, and counts all of its buffer', () => {
    const queue = new OutputQueue();
    const lasting = Buffer.alloc(100_000, 'x');
    queue.append(Buffer.from('head'), 0, 4);
    queue.share(lasting, 10, 90_000, null);
    const { views, roomBytes, chunks } = queue.take();
    expect(views[1]?.buffer).toBe(lasting.buffer);
    expect(views[1]).toHaveLength(89_990);
    expect(roomBytes).toBeGreaterThanOrEqual(100_000 + 1024);
    recycle(chunks);
  });

  it('reserves room that is contiguous, for an exact fit without another chunk', () => {
    for (const bytes of SIZES.filter((one) => one > 0)) {
      const queue = new OutputQueue();
      const at = queue.reserve(bytes);
      expect(queue.chunk.bytes.length).toBeGreaterThanOrEqual(at + bytes);
      queue.chunk.bytes.fill(1, at, at + bytes);
      const taken = queue.take();
      expect(taken.chunks).toHaveLength(1);
      expect(bytesOf(taken).equals(Buffer.alloc(bytes, 1))).toBe(true);
    }
    const queue = new OutputQueue();
    queue.append(Buffer.alloc(1000), 0, 1000);
    queue.append(Buffer.alloc(24), 0, 24);
    expect(queue.take().chunks).toHaveLength(1);
  });

  it('never shares a chunk between two owners, also after chunks came back', () => {
    const chunk = fc.record({ owner: fc.nat(3), bytes: size, back: fc.boolean() });
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 60 }), (steps) => {
        const queues = Array.from({ length: 4 }, () => new OutputQueue());
        const out = new Set<Words>();
        for (const { owner, bytes, back } of steps) {
          queues[owner]?.append(Buffer.alloc(bytes), 0, bytes);
          const taken = queues[owner]?.take().chunks ?? [];
          for (const one of taken) {
            expect(out.has(one)).toBe(false);
            out.add(one);
          }
          if (!back) continue;
          recycle(taken);
          for (const one of taken) out.delete(one);
        }
      }),
    );
  });

  it('counts the room that its chunks take, of which little may be used', () => {
    const queue = new OutputQueue();
    queue.append(Buffer.alloc(10), 0, 10);
    expect(queue.roomBytes).toBeGreaterThanOrEqual(1024);
    for (let frame = 0; frame < 10; frame++) queue.reserve(40_000);
    expect(queue.roomBytes).toBeGreaterThanOrEqual(10 * 65_536);
    const { roomBytes, chunks } = queue.take();
    expect(roomBytes).toBeGreaterThan(chunks.reduce((sum, { bytes }) => sum + bytes.length, 0));
  });

  it.each([40_000, 100_000])(
    'takes little more than their bytes for messages with a body of %i bytes',
    (bytes) => {
      const [appended, reserved] = [new OutputQueue(), new OutputQueue()];
      const lasting = new OutputQueue();
      const [head, body] = [Buffer.alloc(60), Buffer.alloc(bytes)];
      for (let sent = 0; sent < 200; sent++) {
        for (const queue of [appended, reserved, lasting]) queue.append(head, 0, head.length);
        appended.append(body, 0, bytes);
        if (bytes > 65_536) reserved.reserve(bytes);
        lasting.share(Buffer.alloc(bytes), 0, bytes, null);
      }
      for (const queue of [appended, reserved, lasting]) {
        expect(queue.roomBytes).toBeLessThan(queue.bytes * (1 + 1 / 16) + 2 * 65_536);
        const { roomBytes } = queue;
        const pieces: Taken[] = [];
        while (queue.bytes > 0) pieces.push(queue.take(300_000));
        expect(pieces.reduce((sum, piece) => sum + piece.roomBytes, 0)).toBe(roomBytes);
        expect(queue.roomBytes).toBe(0);
      }
    },
  );

  it('holds no chunk once all was taken', () => {
    const queue = new OutputQueue();
    queue.append(Buffer.alloc(10), 0, 10);
    queue.take();
    expect(queue.chunk.bytes).toHaveLength(0);
    expect(queue.take()).toEqual({ chunks: [], views: [], bytes: 0, roomBytes: 0 });
    expect(queue.roomBytes).toBe(0);
  });
});

describe('frames that are written', () => {
  it('packed or singly are the same bytes', () => {
    fc.assert(
      fc.property(fc.array(size, { minLength: 1, maxLength: 6 }), (sizes) => {
        const bodies = sizes.map(patterned);
        const frames = Frames.of(...bodies);
        const packed = Buffer.alloc(packedBytes(frames, 0, frames.count));
        pack(frames, 0, frames.count, packed, 0, false);
        const [singly, together] = [Recorded.shaken(), Recorded.shaken()];
        bodies.forEach((body, index) => {
          singly.connection.write(body, 0, body.length, index < bodies.length - 1);
        });
        together.connection.writePacked(packed, 0, packed.length);
        const lasting = Recorded.shaken();
        bodies.forEach((body, index) => {
          lasting.connection.writeLasting(body, 0, body.length, index < bodies.length - 1);
        });
        const sent = singly.sent();
        expect(together.sent().equals(sent)).toBe(true);
        expect(lasting.sent().equals(sent)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });
});
