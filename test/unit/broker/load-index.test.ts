import { describe, expect, it } from '@jest/globals';
import { LoadIndex } from '../../../src/broker/state/load-index.js';
import { ChainLink } from '../../../src/core/chain.js';

describe('the index of workers by load', () => {
  it('has none at first', () => {
    expect(new LoadIndex<string>().first()).toBeNull();
  });

  it('gives the least loaded, and of those the one put first (D23)', () => {
    const index = new LoadIndex<string>();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => new ChainLink(name));
    if (!a || !b || !c) throw new Error('three links');
    index.put(a, 2);
    index.put(b, 1);
    index.put(c, 1);
    expect(index.first()).toBe('b');
    index.put(b, 2);
    expect(index.first()).toBe('c');
    index.remove(c);
    expect(index.first()).toBe('a');
    index.remove(a);
    expect(index.first()).toBe('b');
    index.remove(b);
    expect(index.first()).toBeNull();
  });

  it.each([0, 1, 30, 31, 32, 33, 63, 64, 9999])('knows a load of %i', (load) => {
    const index = new LoadIndex<number>();
    const link = new ChainLink(load);
    index.put(link, load);
    expect(index.first()).toBe(load);
    const more = new ChainLink(-1);
    index.put(more, load + 1);
    expect(index.first()).toBe(load);
    index.remove(link);
    expect(index.first()).toBe(-1);
    index.put(link, load);
    expect(index.first()).toBe(load);
  });

  it('agrees with a sorted list, whatever comes and goes', () => {
    const index = new LoadIndex<number>();
    const links = Array.from({ length: 50 }, (_, at) => new ChainLink(at));
    let model: { at: number; load: number; since: number }[] = [];
    const wrong: number[] = [];
    let state = 99;
    const roll = (sides: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((state / 2 ** 32) * sides);
    };
    for (let step = 0; step < 20_000; step++) {
      const at = roll(50);
      const link = links[at];
      if (link === undefined) continue;
      model = model.filter((each) => each.at !== at);
      if (roll(3) === 0) {
        index.remove(link);
      } else {
        const load = roll(70);
        index.put(link, load);
        model.push({ at, load, since: step });
      }
      const first = model.reduce<(typeof model)[number] | null>(
        (best, each) =>
          best === null ||
          each.load < best.load ||
          (each.load === best.load && each.since < best.since)
            ? each
            : best,
        null,
      );
      if (index.first() !== (first?.at ?? null)) wrong.push(step);
    }
    expect(wrong).toEqual([]);
  });
});
