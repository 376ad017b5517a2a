import { type Receiver, WebhookPlaces } from '../../../src/extensions/programs/webhook-places.js';

function at(host: string, owner = 'key:shop', entry = host): Receiver {
  return { host, owner, entry };
}

/** Webhooks with the numbers that they get in turn. */
class Stand {
  readonly places = new WebhookPlaces();
  #last = 0;

  /** @returns the numbers of those that have a place */
  take(count: number, receiver: Receiver): number[] {
    return this.#takeAll(Array.from({ length: count }, () => receiver));
  }

  /** One for each of so many hosts. */
  spread(count: number, owner?: string, entry?: string): number[] {
    return this.#takeAll(
      Array.from({ length: count }, (_, n) =>
        at(`${owner}${n}.test`, owner, entry ?? `entry ${n}`),
      ),
    );
  }

  #takeAll(receivers: readonly Receiver[]): number[] {
    return receivers.flatMap((receiver) => {
      const reference = ++this.#last;
      return this.places.take(reference, receiver) ? [reference] : [];
    });
  }
}

describe('the places of one host', () => {
  it('are one until it answers, then one more with each answer up to four, and one after a failure', () => {
    const stand = new Stand();
    expect(stand.take(50, at('a.test'))).toEqual([1]);
    const called = [1, 2, 4, 3, 5].map((reference) => stand.places.leave(reference, true));
    expect(called).toEqual([[2, 3], [4, 5], [6, 7], [8], [9]]);
    expect(stand.places.leave(6, false)).toEqual([]);
    expect(stand.places.leave(7, null)).toEqual([]);
    expect(stand.places.leave(8, null)).toEqual([]);
    expect(stand.places.leave(9, null)).toEqual([10]);
  });

  it('are given in turn to those who stored the requests', () => {
    const stand = new Stand();
    stand.take(3, at('a.test', 'key:shop'));
    stand.take(2, at('a.test', 'key:other'));
    const called = [1, 2, 4, 3].map((reference) => stand.places.leave(reference, false));
    expect(called).toEqual([[2], [4], [3], [5]]);
  });

  it('are not given to one that was withdrawn', () => {
    const stand = new Stand();
    stand.take(4, at('a.test'));
    expect([2, 3].map((reference) => stand.places.leave(reference, null))).toEqual([[], []]);
    expect(stand.places.leave(1, false)).toEqual([4]);
    expect([1, 2, 3, 4].map((reference) => stand.places.placed.has(reference))).toEqual([
      ...[false, false, false, true],
    ]);
    // It is taken again with its body.
    expect(stand.places.take(4, at('a.test'))).toBe(true);
    expect(stand.places.leave(4, true)).toEqual([]);
  });

  it('are asked for again by all that wait when the configuration changes', () => {
    const stand = new Stand();
    stand.take(3, at('a.test'));
    expect(stand.places.callAll()).toEqual([2, 3]);
    expect(stand.places.leave(1, false)).toEqual([]);
    expect(stand.places.take(2, at('a.test', 'key:shop', 'another entry'))).toBe(true);
    expect(stand.places.take(3, at('a.test', 'key:shop', 'another entry'))).toBe(false);
  });
});

describe('the places of many hosts', () => {
  it('that one owner has named are half of all, and others find places for theirs', () => {
    const stand = new Stand();
    expect(stand.spread(1000, 'key:shop')).toHaveLength(128);
    expect(stand.take(1, at('quiet.test', 'key:other'))).toHaveLength(1);
    expect(stand.spread(1000, 'key:other')).toHaveLength(63);
    expect(stand.spread(1000, 'key:third')).toHaveLength(32);
    expect(stand.take(1, at('quiet.test', 'key:fourth'))).toEqual([]);
    expect(stand.take(1, at('calm.test', 'key:fourth'))).toHaveLength(1);
  });

  it('of one entry are a third of all, and other hosts of the same owner find places', () => {
    const stand = new Stand();
    expect(stand.spread(1000, 'key:shop', '.partners.test')).toHaveLength(86);
    expect(stand.take(1, at('quiet.test', 'key:shop'))).toHaveLength(1);
  });

  it('go to each of them in its turn', () => {
    const stand = new Stand();
    const silent = stand.spread(128, 'key:shop');
    for (let n = 0; n < 128; n++) stand.take(2, at(`key:shop${n}.test`, 'key:shop', `entry ${n}`));
    expect(stand.take(1, at('quiet.test'))).toEqual([]);
    const quiet = 128 + 256 + 1;
    let left = 0;
    for (; !stand.places.placed.has(quiet); left++) {
      silent.push(...stand.places.leave(silent.shift() ?? 0, false));
    }
    expect(left).toBe(129);
  });

  it('are used, and nobody waits for ever, whatever comes and goes', () => {
    const places = new WebhookPlaces();
    const waiting = new Set<number>();
    const placed: number[] = [];
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return Math.floor((seed / 2 ** 31) * below);
    };
    const place = (reference: number): void => {
      waiting.delete(reference);
      placed.push(reference);
    };
    const leave = (reference: number): void => {
      const answered = [true, false, null][random(3)] ?? null;
      for (const called of places.leave(reference, answered)) place(called);
    };
    for (let reference = 0; reference < 20_000; reference++) {
      const entry = random(5);
      const receiver = at(`${random(400)}.${entry}.test`, `key:${random(3)}`, `.${entry}.test`);
      if (places.take(reference, receiver)) place(reference);
      else waiting.add(reference);
      const [gone] = random(10) === 0 ? waiting : [];
      if (gone !== undefined) {
        waiting.delete(gone);
        expect(places.leave(gone, null)).toEqual([]);
      }
      if (random(3) === 0) for (const each of placed.splice(random(placed.length), 1)) leave(each);
      expect(placed.length).toBeLessThanOrEqual(256);
    }
    expect(placed.length).toBeGreaterThan(150);
    for (let next = placed.pop(); next !== undefined; next = placed.pop()) leave(next);
    expect(waiting.size).toBe(0);
  });
});
