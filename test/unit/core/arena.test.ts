import { Arena, type ArenaHandle } from '../../../src/core/arena.js';

const MIB = 1024 * 1024;
const PAGE_BYTES = 256 * 1024;
const SHARED_BYTES_MAX = 16 * 1024;

/** Small pseudo-random numbers, the same each time. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

function fill(arena: Arena, handle: ArenaHandle, bytes: number, value: number): void {
  const { words, start } = arena.find(handle);
  words.bytes.fill(value, start, start + bytes);
}

function holds(arena: Arena, handle: ArenaHandle, bytes: number, value: number): boolean {
  const { words, start } = arena.find(handle);
  const run = words.bytes.subarray(start, start + bytes);
  return run.length === bytes && run.every((byte) => byte === value);
}

describe('an arena', () => {
  it.each([0, 1, 31, 32, 33, 48, 49, 1000, 16_383, 16_384, 16_385, 1 << 20])(
    'gives a run of %i bytes with all its room inside of its buffer',
    (bytes) => {
      const arena = new Arena();
      const handle = arena.allocate(bytes);
      const { words, start } = arena.find(handle);
      expect(start + bytes).toBeLessThanOrEqual(words.bytes.length);
      fill(arena, handle, bytes, 7);
      expect(holds(arena, handle, bytes, 7)).toBe(true);
    },
  );

  it.each([0, 100, 16_384, 16_385])(
    'hands over a run of %i bytes, which stays as it is when others come in its place',
    (bytes) => {
      const arena = new Arena();
      const handle = arena.allocate(bytes);
      fill(arena, handle, bytes, 7);
      const taken = arena.take(handle, bytes);
      const next = arena.allocate(bytes);
      expect(next).toBe(handle);
      fill(arena, next, bytes, 8);
      expect(taken.equals(Buffer.alloc(bytes, 7))).toBe(true);
      expect(() => arena.take(next, bytes)).not.toThrow();
    },
  );

  it('keeps runs apart, whatever comes and goes between them', () => {
    const arena = new Arena();
    const wrong: ArenaHandle[] = [];
    const roll = dice(42);
    const live: { handle: ArenaHandle; bytes: number; value: number }[] = [];
    for (let step = 0; step < 30_000; step++) {
      if (live.length > 500 || (live.length > 0 && roll(100) < 45)) {
        const [gone] = live.splice(roll(live.length), 1);
        if (gone === undefined) continue;
        if (!holds(arena, gone.handle, gone.bytes, gone.value)) wrong.push(gone.handle);
        arena.free(gone.handle);
      } else {
        const bytes = roll(50) === 0 ? SHARED_BYTES_MAX + roll(1000) : roll(400);
        const run = { handle: arena.allocate(bytes), bytes, value: roll(256) };
        fill(arena, run.handle, bytes, run.value);
        live.push(run);
      }
    }
    for (const { handle, bytes, value } of live) {
      if (!holds(arena, handle, bytes, value)) wrong.push(handle);
    }
    expect(wrong).toEqual([]);
  });

  it('wastes at most a fifth of a slot on sizes above the smallest, or 16 bytes', () => {
    for (const bytes of [33, 100, 200, 500, 1000, 5000, 16_000]) {
      const arena = new Arena();
      const runs = 2000;
      for (let at = 0; at < runs; at++) arena.allocate(bytes);
      const most = runs * Math.max(bytes * 1.21, bytes + 31) + PAGE_BYTES + runs;
      expect(arena.pageBytes).toBeLessThanOrEqual(most);
    }
  });

  it('gives pages back when their runs are freed, but for one per size', () => {
    const arena = new Arena();
    const handles = Array.from({ length: 50_000 }, () => arena.allocate(100));
    expect(arena.pageBytes).toBeGreaterThan(50_000 * 100);
    for (const handle of handles) arena.free(handle);
    expect(arena.pageBytes).toBeLessThanOrEqual(PAGE_BYTES);
  });

  it('gives the page of a large run back at once', () => {
    const arena = new Arena();
    const handle = arena.allocate(1 << 20);
    expect(arena.pageBytes).toBe(1 << 20);
    arena.free(handle);
    expect(arena.pageBytes).toBe(0);
  });

  it('takes no new page for a lone run that comes and goes', () => {
    const arena = new Arena();
    const pages = new Set<Buffer>();
    for (let at = 0; at < 10_000; at++) {
      const handle = arena.allocate(100);
      pages.add(arena.find(handle).words.bytes);
      arena.free(handle);
    }
    expect(pages.size).toBe(1);
  });

  it('uses freed room before new pages', () => {
    const arena = new Arena();
    const handles = Array.from({ length: 10_000 }, () => arena.allocate(200));
    const before = arena.pageBytes;
    for (const [index, handle] of handles.entries()) if (index % 2 === 0) arena.free(handle);
    for (let at = 0; at < 5000; at++) arena.allocate(200);
    expect(arena.pageBytes).toBe(before);
  });

  it('moves runs together: one that stays in each page of each size in turn keeps few pages', () => {
    const arena = new Arena();
    const most = 48 * MIB;
    let peak = 0;
    const live: { handle: ArenaHandle; bytes: number; value: number }[] = [];
    for (let bytes = 600; bytes <= SHARED_BYTES_MAX; bytes = Math.ceil(bytes * 1.2)) {
      const perPage = Math.floor(PAGE_BYTES / bytes);
      const handles = Array.from({ length: most / bytes }, () => arena.allocate(bytes));
      peak = Math.max(peak, arena.pageBytes);
      for (const [index, handle] of handles.entries()) {
        if (index % perPage > 0) {
          arena.free(handle);
          continue;
        }
        const run = { handle, bytes, value: index & 0xff };
        fill(arena, handle, bytes, run.value);
        live.push(run);
      }
      const used = live.reduce((sum, run) => sum + arena.sizeOf(run.bytes), 0);
      expect(arena.pageBytes).toBeLessThanOrEqual(used * (9 / 8) + 16 * MIB);
    }
    expect(peak).toBeLessThan(2 * most);
    expect(live.filter((run) => !holds(arena, run.handle, run.bytes, run.value))).toEqual([]);
    for (const { handle } of live) arena.free(handle);
    expect(arena.pageBytes).toBeLessThanOrEqual(16 * MIB);
  });

  it('says when its pages can no longer be numbered, and takes none beyond', () => {
    const arena = new Arena(3);
    const large = [1, 2, 3].map(() => arena.allocate(SHARED_BYTES_MAX + 1));
    expect(arena.hasRoom).toBe(false);
    expect(() => arena.allocate(1)).toThrow(expect.objectContaining({ code: 'ERR_INTERNAL' }));
    arena.free(large[1] ?? -1);
    expect(arena.hasRoom).toBe(true);
    expect(() => arena.allocate(1)).not.toThrow();
    expect(arena.hasRoom).toBe(false);
  });

  it('refuses a handle that is free already', () => {
    const arena = new Arena();
    const large = arena.allocate(SHARED_BYTES_MAX + 1);
    arena.free(large);
    expect(() => arena.free(large)).toThrow(expect.objectContaining({ code: 'ERR_INTERNAL' }));
  });
});
