import fc from 'fast-check';

import { Frames } from '../../../src/core/frames.js';
import {
  pack,
  packedBytes,
  PackedCursor,
  packedFrameBytes,
  putFrameHead,
  readPacked,
  unpack,
} from '../../../src/core/packed.js';

const SIZES = [0, 1, 2, 47, 48, 49, 254, 255, 256, 257, 65_535, 65_536, 100_000];

function filled(size: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: size }, (_, index) => (index * 31 + size) & 0xff));
}

function unpacked(bytes: Buffer, start: number, end: number): Buffer[] {
  const frames = new Frames();
  unpack(bytes, start, end, frames);
  return frames.copyFrom(0);
}

/** MORE of every packed frame in `[start, end)`. */
function moreFlags(bytes: Buffer, start: number, end: number): boolean[] {
  const cursor = new PackedCursor();
  const flags: boolean[] = [];
  for (let at = start; at < end; at = cursor.end) {
    readPacked(bytes, at, cursor);
    flags.push(cursor.more);
  }
  return flags;
}

describe('Packed frames', () => {
  it('are laid out as 23/ZMTP §Framing sends them, short up to 255 bytes', () => {
    const frames = Frames.of('ab', '', filled(255), filled(256));
    const target = Buffer.alloc(packedBytes(frames, 0, 4));
    expect(pack(frames, 0, 4, target, 0, false)).toBe(target.length);
    expect(target).toEqual(
      Buffer.concat([
        Buffer.from([0x01, 2, 0x61, 0x62, 0x01, 0, 0x01, 255]),
        filled(255),
        Buffer.from([0x02, 0, 0, 0, 0, 0, 0, 1, 0]),
        filled(256),
      ]),
    );
  });

  it.each(SIZES)('of %d bytes take as many bytes as was said, and come back', (size) => {
    const body = filled(size);
    const frames = Frames.of(body);
    const bytes = packedFrameBytes(size);
    expect(packedBytes(frames, 0, 1)).toBe(bytes);
    const target = Buffer.alloc(bytes + 2, 0xee);
    expect(pack(frames, 0, 1, target, 1, false)).toBe(bytes + 1);
    expect([target[0], target[bytes + 1]]).toEqual([0xee, 0xee]);
    const back = unpacked(target, 1, bytes + 1);
    expect(back.map((frame) => frame.equals(body))).toEqual([true]);
  });

  it('can be larger than 4 GiB as far as the head is concerned', () => {
    const size = 5 * 2 ** 32 + 0x80_00_00_07;
    const head = Buffer.alloc(9);
    expect(putFrameHead(head, 0, size, true)).toBe(9);
    expect(head).toEqual(Buffer.from([0x03, 0, 0, 0, 5, 0x80, 0, 0, 7]));
    const cursor = new PackedCursor();
    readPacked(head, 0, cursor);
    expect([cursor.start, cursor.end, cursor.more]).toEqual([9, 9 + size, true]);
  });

  it('are marked as followed by more but for the last, and the last too if left open', () => {
    const frames = Frames.of('a', filled(300), 'c');
    const target = Buffer.alloc(packedBytes(frames, 0, 3));
    pack(frames, 0, 3, target, 0, false);
    expect(moreFlags(target, 0, target.length)).toEqual([true, true, false]);
    pack(frames, 0, 3, target, 0, true);
    expect(moreFlags(target, 0, target.length)).toEqual([true, true, true]);
  });

  it('of an empty range take nothing', () => {
    const frames = Frames.of('a');
    const target = Buffer.alloc(4, 0xee);
    expect(packedBytes(frames, 1, 1)).toBe(0);
    expect(pack(frames, 1, 1, target, 2, true)).toBe(2);
    expect(target).toEqual(Buffer.alloc(4, 0xee));
    expect(unpacked(target, 2, 2)).toEqual([]);
  });

  it('are copies when packed and views when unpacked', () => {
    const source = Buffer.from('body');
    const frames = Frames.of(source);
    const target = Buffer.alloc(packedBytes(frames, 0, 1));
    pack(frames, 0, 1, target, 0, false);
    source.fill('x');
    const back = new Frames();
    unpack(target, 0, target.length, back);
    expect(back.view(0).toString()).toBe('body');
    expect(back.buffer(0)).toBe(target);
  });

  it('are added to what a message has: held PARTIALs and then the FINAL are one (D10)', () => {
    const partial = Frames.of('p1', 'p2');
    const packed = Buffer.alloc(packedBytes(partial, 0, 2));
    pack(partial, 0, 2, packed, 0, true);
    const joined = Frames.of('first');
    unpack(packed, 0, packed.length, joined);
    joined.push(Buffer.from('final'), 0, 5);
    expect(joined.copyFrom(0).map(String)).toEqual(['first', 'p1', 'p2', 'final']);
  });

  it('come back as they were, from any buffers, offsets, ranges and lengths', () => {
    const size = fc.oneof(fc.nat({ max: 60 }), fc.constantFrom(...SIZES.slice(0, 10)));
    const piece = fc.record({ size, before: fc.nat({ max: 9 }), after: fc.nat({ max: 9 }) });
    const options = fc.record({ own: fc.boolean(), open: fc.boolean(), offset: fc.nat(20) });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), options, fc.nat(8), (pieces, how, skip) => {
        const frames = new Frames();
        const total = pieces.reduce((sum, p) => sum + p.before + p.size + p.after, 0);
        const chunk = filled(total);
        let at = 0;
        for (const { size: bytes, before, after } of pieces) {
          const buffer = how.own ? Buffer.from(chunk.subarray(at)) : chunk;
          const start = (how.own ? 0 : at) + before;
          frames.push(buffer, start, start + bytes);
          at += before + bytes + after;
        }
        const from = Math.min(skip, pieces.length);
        const length = packedBytes(frames, from, frames.count);
        const target = Buffer.alloc(how.offset + length + 3, 0xee);
        const end = pack(frames, from, frames.count, target, how.offset, how.open);
        expect(end).toBe(how.offset + length);
        expect(unpacked(target, how.offset, end)).toEqual(frames.copyFrom(from));
        const more = moreFlags(target, how.offset, end);
        const count = frames.count - from;
        expect(more).toEqual(more.map((_, index) => how.open || index < count - 1));
        expect(target.subarray(0, how.offset).every((byte) => byte === 0xee)).toBe(true);
        expect(target.subarray(end).every((byte) => byte === 0xee)).toBe(true);
      }),
    );
  });
});
