import fc from 'fast-check';

import { Buckets } from '../../../src/core/buckets.js';
import { TopicIndex } from '../../../src/stream/topic-index.js';
import { NONE, type Subscription } from '../../../src/stream/topic-records.js';
import { collidingKeys } from '../../support/collisions.js';
import { seededRandom } from '../../support/stage-random.js';

function found(index: TopicIndex, bytes: string): number[] {
  const members: number[] = [];
  const given = Buffer.from(`<${bytes}>`, 'latin1');
  index.match(given, 1, given.length - 1, (first) => {
    for (let one = first; one !== NONE; one = index.next(one)) members.push(index.memberOf(one));
  });
  return members;
}

const letters = fc.constantFrom('a', 'b', '\0', '\xff');
const topic = fc.array(letters, { maxLength: 6 }).map((each) => each.join(''));
const member = fc.integer({ min: 0, max: 3 });
const step = fc.record({ isAdded: fc.boolean(), topic, member, which: fc.nat() });

interface Known {
  readonly member: number;
  readonly topic: string;
  readonly subscription: Subscription;
}

describe('topics', () => {
  it('are found by every text that they are a prefix of, as in a list of them', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.array(topic), (steps, asked) => {
        const index = new TopicIndex(seededRandom(7));
        const model: Known[] = [];
        for (const { isAdded, topic: name, member: who, which } of steps) {
          const bytes = Buffer.from(name, 'latin1');
          const known = model.find((one) => one.topic === name && one.member === who);
          expect(index.find(who, bytes)).toBe(known?.subscription ?? NONE);
          if (known === undefined && (isAdded || model.length === 0)) {
            model.push({ member: who, topic: name, subscription: index.add(who, bytes) });
          } else {
            const [gone] = model.splice(which % model.length, 1);
            if (gone !== undefined) index.remove(gone.subscription);
          }
          for (const { subscription, topic: added } of model) {
            expect(index.sizeOf(subscription)).toBe(added.length);
          }
        }
        for (const bytes of asked) {
          const expected = model.filter((one) => bytes.startsWith(one.topic));
          expect(found(index, bytes).sort()).toEqual(expected.map((one) => one.member).sort());
        }
        for (const who of [0, 1, 2, 3]) {
          let count = 0;
          for (; index.latestOf(who) !== NONE; count++) index.remove(index.latestOf(who));
          expect(count).toBe(model.filter((one) => one.member === who).length);
        }
        expect(asked.flatMap((bytes) => found(index, bytes))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('are found shorter ones first', () => {
    const index = new TopicIndex(seededRandom(7));
    for (const [who, name] of ['abc', 'a', '', 'ab', 'abd'].entries()) {
      index.add(who, Buffer.from(name));
    }
    expect(found(index, 'abcd')).toEqual([2, 1, 3, 0]);
    expect(found(index, '')).toEqual([2]);
  });

  it('are found among thousands that come and go, of every size', () => {
    const index = new TopicIndex(seededRandom(7));
    const name = (at: number): string =>
      `${'x'.repeat(at % 250)}${at}-`.padEnd(254 - (at % 7), 'y');
    const all = Array.from({ length: 5000 }, (_, at) => index.add(at, Buffer.from(name(at))));
    for (let at = 0; at < 5000; at++) expect(found(index, `${name(at)}z`)).toEqual([at]);
    for (const [at, subscription] of all.entries()) if (at !== 4000) index.remove(subscription);
    expect(found(index, name(4000))).toEqual([4000]);
    expect(found(index, name(3999))).toEqual([]);
  });

  it('are counted once more and once less for a member that subscribes again and cancels', () => {
    const index = new TopicIndex(seededRandom(7));
    const one = index.add(7, Buffer.from('a'));
    expect([index.repeat(one, 1), index.repeat(one, 1), index.repeat(one, -1)]).toEqual([2, 3, 2]);
  });

  it('that were made to collide are found, and let go, in as many steps as others', () => {
    const others = Array.from({ length: 4000 }, (_, at) => Buffer.from(`${at}`.padEnd(56, '.')));
    const steps = jest.spyOn(Buckets.prototype, 'next');
    const stepsOf = (topics: readonly Buffer[]): number => {
      const index = new TopicIndex(seededRandom(11));
      steps.mockClear();
      const all = topics.map((each, at) => index.add(at % 40, each));
      for (const subscription of all) index.remove(subscription);
      return steps.mock.calls.length;
    };
    const usual = stepsOf(others);
    for (const low of [0, 1, 77, 128, 255]) {
      expect(stepsOf(collidingKeys(low, 4000))).toBeLessThan(1.5 * usual);
    }
    steps.mockRestore();
  });
});
