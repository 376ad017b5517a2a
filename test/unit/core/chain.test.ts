import { describe, expect, it } from '@jest/globals';
import { Chain, ChainLink } from '../../../src/core/chain.js';

/** The owners in order; both directions must agree. */
function owners<T>(chain: Chain<T>): T[] {
  const found: T[] = [];
  let last: ChainLink<T> | null = null;
  for (let link = chain.head; link !== null; link = link.next) {
    expect(link.chain).toBe(chain);
    expect(link.previous).toBe(last);
    found.push(link.owner);
    last = link;
  }
  return found;
}

function chainOf(...names: string[]): [Chain<string>, ChainLink<string>[]] {
  const chain = new Chain<string>();
  const links = names.map((name) => new ChainLink(name));
  for (const link of links) chain.append(link);
  return [chain, links];
}

describe('a chain', () => {
  it('is in the order in which links were appended', () => {
    const [chain] = chainOf('a', 'b', 'c');
    expect(owners(chain)).toEqual(['a', 'b', 'c']);
  });

  it.each([
    [0, ['b', 'c', 'a']],
    [1, ['a', 'c', 'b']],
    [2, ['a', 'b', 'c']],
  ])('moves link %i to the end when it is appended again', (index, order) => {
    const [chain, links] = chainOf('a', 'b', 'c');
    const link = links[index];
    if (link) chain.append(link);
    expect(owners(chain)).toEqual(order);
  });

  it.each([
    [0, ['b', 'c']],
    [1, ['a', 'c']],
    [2, ['a', 'b']],
  ])('closes the gap when link %i leaves, and can be appended to', (index, order) => {
    const [chain, links] = chainOf('a', 'b', 'c');
    links[index]?.leave();
    expect(owners(chain)).toEqual(order);
    chain.append(new ChainLink('d'));
    expect(owners(chain)).toEqual([...order, 'd']);
  });

  it('is empty when all have left, in any order', () => {
    const [chain, links] = chainOf('a', 'b', 'c');
    for (const index of [1, 0, 2]) links[index]?.leave();
    expect(chain.head).toBeNull();
    expect(links.every((link) => link.chain === null)).toBe(true);
  });

  it('takes a link out of the chain that it was in', () => {
    const [first, links] = chainOf('a', 'b');
    const [second] = chainOf('x');
    const [a] = links;
    if (a) second.append(a);
    expect([owners(first), owners(second)]).toEqual([['b'], ['x', 'a']]);
  });

  it('does nothing when a link that is in no chain leaves', () => {
    const link = new ChainLink('a');
    link.leave();
    expect(link.chain).toBeNull();
  });

  it.each([
    [5, [5, 10, 20, 30]],
    [10, [10, 10, 20, 30]],
    [25, [10, 20, 25, 30]],
    [40, [10, 20, 30, 40]],
  ])('takes %i in at its place', (value, order) => {
    const chain = new Chain<number>();
    for (const each of [10, 20, 30]) chain.append(new ChainLink(each));
    chain.insert(new ChainLink(value), (other) => other > value);
    expect(owners(chain)).toEqual(order);
    chain.append(new ChainLink(50));
    expect(owners(chain)).toEqual([...order, 50]);
  });

  it('takes the first one in', () => {
    const chain = new Chain<number>();
    chain.insert(new ChainLink(1), () => true);
    chain.append(new ChainLink(2));
    expect(owners(chain)).toEqual([1, 2]);
  });
});
