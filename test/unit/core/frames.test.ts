import fc from 'fast-check';

import { Frames } from '../../../src/core/frames.js';

describe('The frames of a message', () => {
  it('are views into the buffers that they were read into, without a copy', () => {
    const chunk = Buffer.from('..first.second');
    const other = Buffer.from('third');
    const frames = new Frames();
    frames.push(chunk, 2, 7);
    frames.push(chunk, 8, 14);
    frames.push(other, 0, 5);
    expect([0, 1, 2].map((index) => frames.view(index).toString())).toEqual([
      'first',
      'second',
      'third',
    ]);
    expect([frames.buffer(0), frames.buffer(2)]).toEqual([chunk, other]);
    expect(frames.view(1).buffer).toBe(chunk.buffer);
    chunk.write('FIRST', 2);
    expect(frames.view(0).toString()).toBe('FIRST');
  });

  it('that are kept are copies, which later reads into the buffer do not change', () => {
    const chunk = Buffer.from('abcdef');
    const frames = new Frames();
    frames.push(chunk, 0, 2);
    frames.push(chunk, 2, 2);
    frames.push(chunk, 2, 6);
    const one = frames.copy(0);
    const rest = frames.copyFrom(1);
    chunk.fill('x');
    expect(one.toString()).toBe('ab');
    expect(rest.map(String)).toEqual(['', 'cdef']);
    expect(frames.copyFrom(3)).toEqual([]);
    expect(frames.copyFrom(9)).toEqual([]);
  });

  it('made here may be texts, bytes and views, also empty ones', () => {
    const view = new Uint8Array([9, 1, 2, 9]).subarray(1, 3);
    const frames = Frames.of('é', view, '', Buffer.from('z'));
    expect(frames.count).toBe(4);
    expect([0, 1, 2, 3].map((index) => [...frames.view(index)])).toEqual([
      [0xc3, 0xa9],
      [1, 2],
      [],
      [0x7a],
    ]);
    expect(Frames.of().count).toBe(0);
  });

  it('compare by their bytes and lengths', () => {
    const frames = new Frames();
    frames.push(Buffer.from('xMDPC01y'), 1, 7);
    frames.push(Buffer.alloc(4), 2, 2);
    expect(frames.equals(0, Buffer.from('MDPC01'))).toBe(true);
    expect(frames.equals(0, Buffer.from('MDPC02'))).toBe(false);
    expect(frames.equals(0, Buffer.from('MDPC0'))).toBe(false);
    expect(frames.equals(0, Buffer.from('MDPC01y'))).toBe(false);
    expect(frames.equals(1, Buffer.alloc(0))).toBe(true);
    expect(frames.equals(1, Buffer.alloc(1))).toBe(false);
  });

  it('that are made its own lie in one buffer, whenever they came, and the one before is freed', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.uint8Array({ maxLength: 40 }))), (calls) => {
        const frames = new Frames();
        const buffers = new Set<Buffer>();
        for (const call of calls) {
          const from = frames.count;
          for (const frame of call) {
            const chunk = Buffer.concat([Buffer.from('..'), frame, Buffer.from('..')]);
            frames.push(chunk, 2, 2 + frame.length);
          }
          const room = frames.own(from);
          if (frames.count > 0) expect(room).toBe(frames.buffer(0).length);
          expect(new Set(frames.buffers).size).toBeLessThanOrEqual(1);
          if (room > 0) buffers.add(frames.buffer(0));
        }
        const all = calls.flat().map((frame) => Buffer.from(frame));
        expect(frames.copyFrom(0)).toEqual(all);
        const inUse = [...buffers].filter(({ length }) => length > 0);
        expect(inUse.length).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('of any message read the same from a fresh and from a reused instance', () => {
    const message = fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 6 });
    fc.assert(
      fc.property(message, message, (before, after) => {
        const reused = Frames.of(...before);
        reused.clear();
        for (const frame of after) reused.push(Buffer.from(frame), 0, frame.length);
        const fresh = Frames.of(...after);
        for (let index = 0; index < 8; index++) {
          expect(reused.size(index)).toBe(fresh.size(index));
          for (const frame of before) {
            expect(reused.equals(index, frame)).toBe(fresh.equals(index, frame));
          }
        }
        expect(reused.copyFrom(0)).toEqual(fresh.copyFrom(0));
      }),
    );
  });
});
