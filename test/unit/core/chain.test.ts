import fc from 'fast-check';
import { Chain, ChainLink } from '../../../src/core/chain.js';

/** The owners in order; both directions must agree. */
function owners(chain: Chain<number>): number[] {
  const found: number[] = [];
  let last: ChainLink<number> | null = null;
  for (let link = chain.head; link !== null; link = link.next) {
    expect([link.chain, link.previous]).toEqual([chain, last]);
    found.push(link.owner);
    last = link;
  }
  return found;
}

const step = fc.record({
  what: fc.constantFrom('append', 'insert', 'leave'),
  which: fc.nat({ max: 5 }),
  to: fc.constantFrom(0, 1),
});

it('two chains are two lists, whatever links are appended, taken in at their places, or leave', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const chains = [new Chain<number>(), new Chain<number>()] as const;
      const links = Array.from({ length: 6 }, (_, owner) => new ChainLink(owner));
      const lists: [number[], number[]] = [[], []];
      for (const { what, which, to } of steps) {
        const link = links[which];
        // Only a link that is in no chain is taken in at its place.
        if (link === undefined || (what === 'insert' && link.chain !== null)) continue;
        lists[0] = lists[0].filter((owner) => owner !== which);
        lists[1] = lists[1].filter((owner) => owner !== which);
        const list = lists[to];
        const before = list.findLastIndex((owner) => owner < which);
        if (what === 'leave') link.leave();
        else if (what === 'append') chains[to].append(link);
        else chains[to].insert(link, (owner) => owner > which);
        if (what !== 'leave') list.splice(what === 'append' ? list.length : before + 1, 0, which);
        expect(chains.map(owners)).toEqual(lists);
        expect(link.chain).toBe(what === 'leave' ? null : chains[to]);
      }
    }),
  );
});
