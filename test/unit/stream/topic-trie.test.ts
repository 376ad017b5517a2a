import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { type TrieEntry, TopicTrie } from '../../../src/stream/topic-trie.js';

function found(trie: TopicTrie<number>, bytes: string): number[] {
  const members: number[] = [];
  const given = Buffer.from(`<${bytes}>`, 'latin1');
  trie.match(given, 1, given.length - 1, (entries) => {
    members.push(...entries.map(({ member }) => member));
  });
  return members;
}

const letters = fc.constantFrom('a', 'b', '\0', '\xff');
const topic = fc.array(letters, { maxLength: 6 }).map((each) => each.join(''));
const step = fc.record({ isAdded: fc.boolean(), topic, which: fc.nat() });

describe('topics', () => {
  it('are found by every text that they are a prefix of, as in a list of them', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.array(topic), (steps, asked) => {
        const trie = new TopicTrie<number>();
        const model: { topic: string; entry: TrieEntry<number> }[] = [];
        for (const [index, { isAdded, topic: name, which }] of steps.entries()) {
          if (isAdded || model.length === 0) {
            model.push({ topic: name, entry: trie.add(name, index) });
          } else {
            const [gone] = model.splice(which % model.length, 1);
            if (gone !== undefined) trie.remove(gone.entry);
          }
          const distinct = new Set(model.map((one) => one.topic)).size;
          expect(trie.nodes).toBeLessThanOrEqual(2 * distinct + 1);
        }
        for (const bytes of asked) {
          const members = model.filter((one) => bytes.startsWith(one.topic));
          const expected = members.map((one) => one.entry.member);
          expect(found(trie, bytes).sort()).toEqual(expected.sort());
        }
        for (const { entry } of model) trie.remove(entry);
        expect(trie.nodes).toBe(1);
      }),
      { numRuns: 500 },
    );
  });

  it('are found shorter ones first', () => {
    const trie = new TopicTrie<number>();
    for (const [index, name] of ['abc', 'a', '', 'ab', 'abd'].entries()) trie.add(name, index);
    expect(found(trie, 'abcd')).toEqual([2, 1, 3, 0]);
    expect(found(trie, '')).toEqual([2]);
  });

  it('of 255 bytes take two nodes each at most, whatever they share', () => {
    const trie = new TopicTrie<number>();
    const count = 5000;
    for (let index = 0; index < count; index++) {
      const shared = 'x'.repeat(index % 250);
      trie.add(`${shared}${index}`.padEnd(255, 'y'), index);
    }
    expect(trie.nodes).toBeLessThanOrEqual(2 * count + 1);
  });
});
