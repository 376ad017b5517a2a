import { LoadIndex } from '../../../src/broker/state/load-index.js';
import { ChainLink } from '../../../src/core/chain.js';

describe('the index of workers by load', () => {
  it('gives the least loaded, and of those the one put first, whatever comes and goes (D23)', () => {
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
        const load = roll(20) === 0 ? 9999 : roll(70);
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

  it('keeps nothing of loads that no worker has any more, whether it works them off or is lost', () => {
    const index = new LoadIndex<string>();
    const [idle, busy] = [new ChainLink('idle'), new ChainLink('busy')];
    index.put(idle, 0);
    for (let load = 0; load < 5000; load++) index.put(busy, load);
    expect(index.loads).toBe(5000);
    for (let load = 5000; load > 0; load--) index.put(busy, load - 1);
    for (let step = 0; step < 2048; step++) index.put(idle, 0);
    expect(index.loads).toBe(1);
    index.put(busy, 5000);
    index.forget(busy);
    expect([index.loads, index.first()]).toEqual([1, 'idle']);
  });

  it('takes a worker back at a high load at little cost', () => {
    const index = new LoadIndex<string>();
    const [idle, busy] = [new ChainLink('idle'), new ChainLink('busy')];
    index.put(busy, 5000);
    let least = Infinity;
    for (let round = 0; round < 100; round++) {
      index.remove(busy);
      index.put(idle, 0);
      least = Math.min(least, index.loads);
      index.put(busy, 5000);
    }
    expect(least).toBeGreaterThan(4900);
  });
});
