import fc from 'fast-check';
import { IndexedHeap } from '../../../src/core/indexed-heap.js';

function heapOf(keys: number[]): { heap: IndexedHeap; places: Map<number, number> } {
  const places = new Map<number, number>();
  const heap = new IndexedHeap({
    before: (a, b) => (keys[a] ?? 0) < (keys[b] ?? 0),
    moved: (item, place) => places.set(item, place),
  });
  return { heap, places };
}

describe('a heap that knows where its items are', () => {
  it('is a sorted list, whatever is put in and taken out anywhere', () => {
    const step = fc.oneof(
      fc.record({ what: fc.constant('push'), key: fc.integer({ min: 0, max: 20 }) }),
      fc.record({ what: fc.constantFrom('pop', 'remove'), key: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const keys: number[] = [];
        const { heap, places } = heapOf(keys);
        const inside: number[] = [];
        for (const { what, key } of steps) {
          if (what === 'push') {
            keys.push(key);
            inside.push(keys.length - 1);
            heap.push(keys.length - 1);
          } else if (what === 'pop') {
            const item = heap.pop();
            const least = Math.min(...inside.map((each) => keys[each] ?? 0));
            if (inside.length === 0) expect(item).toBe(-1);
            else expect(keys[item]).toBe(least);
            if (item >= 0) inside.splice(inside.indexOf(item), 1);
          } else if (inside.length > 0) {
            const [item = -1] = inside.splice(key % inside.length, 1);
            heap.removeAt(places.get(item) ?? -1);
            expect(places.get(item)).toBe(-1);
          }
          expect(heap.size).toBe(inside.length);
          // Every item is where it was last told to be, and no two are at one place.
          const there = inside.map((item) => places.get(item) ?? -1).sort((a, b) => a - b);
          expect(there).toEqual(inside.map((_, index) => index));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('goes on in order when it grows again after it has shrunk', () => {
    const keys = Array.from({ length: 5000 }, (_, index) => (index * 7919) % 5003);
    const { heap } = heapOf(keys);
    for (let round = 0; round < 3; round++) {
      for (const item of keys.keys()) heap.push(item);
      const popped = keys.map(() => keys[heap.pop()] ?? -1);
      expect(popped).toEqual([...keys].sort((a, b) => a - b));
      expect(heap.size).toBe(0);
    }
  });

  it('passes over a place that is not taken', () => {
    const { heap } = heapOf([5]);
    heap.push(0);
    heap.removeAt(7);
    heap.removeAt(-1);
    expect(heap.peek()).toBe(0);
  });
});
