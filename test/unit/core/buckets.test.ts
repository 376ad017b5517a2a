import { Buckets, NO_RECORD } from '../../../src/core/buckets.js';
import { seededRandom } from '../../support/stage-random.js';

/** The records of the bucket of a hash. */
function bucketOf(buckets: Buckets, hash: number): number[] {
  const records = [];
  for (let at = buckets.first(hash); at !== NO_RECORD; at = buckets.next(at)) records.push(at);
  return records;
}

function randomHashes(count: number, seed: number): Int32Array {
  const bytes = Buffer.alloc(count * 4);
  seededRandom(seed)(bytes);
  return Int32Array.from({ length: count }, (_, at) => bytes.readInt32LE(at * 4));
}

const MANY = 5000;

describe('buckets', () => {
  it('find what was added and not removed, however many come and go', () => {
    const hashes = randomHashes(MANY, 1);
    const buckets = new Buckets();
    const isFound = (record: number): boolean => {
      const hash = hashes[record] ?? 0;
      return bucketOf(buckets, hash).includes(record) && buckets.hashOf(record) === hash;
    };
    const here = new Set<number>();
    const wrong: number[] = [];
    const draws = randomHashes(40_000, 2);
    for (const [step, draw] of draws.entries()) {
      const record = (draw >>> 0) % MANY;
      const grows = Math.floor(step / 8000) % 2 === 0;
      if (here.has(record) && (!grows || draw < 0)) {
        buckets.remove(record);
        here.delete(record);
      } else if (!here.has(record) && (grows || draw % 7 === 0)) {
        buckets.add(record, hashes[record] ?? 0);
        here.add(record);
      }
      if (step % 1000 !== 0) continue;
      for (let at = 0; at < MANY; at++) if (isFound(at) !== here.has(at)) wrong.push(at);
    }
    expect(wrong).toEqual([]);
    expect(buckets.count).toBe(here.size);
    for (const record of here) buckets.remove(record);
    expect(draws.some((draw) => isFound((draw >>> 0) % MANY))).toBe(false);
  });

  it('move few of thousands when one comes or goes: none waits for a new size', () => {
    const hashes = randomHashes(MANY, 3);
    const buckets = new Buckets();
    const nexts = new Int32Array(MANY);
    let [moved, longest] = [0, 0];
    const look = (): void => {
      let changed = 0;
      for (let record = 0; record < MANY; record++) {
        const next = buckets.next(record);
        if (nexts[record] !== next) changed++;
        nexts[record] = next;
      }
      moved = Math.max(moved, changed);
    };
    // The last one comes first, so that all have their memory from then on.
    buckets.add(MANY - 1, hashes[MANY - 1] ?? 0);
    for (let record = 0; record < MANY; record++) nexts[record] = buckets.next(record);
    for (let record = 0; record < MANY - 1; record++) {
      buckets.add(record, hashes[record] ?? 0);
      longest = Math.max(longest, bucketOf(buckets, hashes[record] ?? 0).length);
      look();
    }
    for (let record = 0; record < MANY - 1; record++) {
      buckets.remove(record);
      look();
    }
    expect([moved < 30, longest < 30]).toEqual([true, true]);
  });

  it('that share a hash are kept apart, also when those between them go', () => {
    const buckets = new Buckets();
    for (let record = 0; record < 40; record++) buckets.add(record, 7);
    for (let record = 0; record < 40; record += 2) buckets.remove(record);
    const odd = Array.from({ length: 20 }, (_, index) => 2 * index + 1);
    expect(bucketOf(buckets, 7).sort((a, b) => a - b)).toEqual(odd);
  });
});
