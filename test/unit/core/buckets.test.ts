import { Buckets, type Chained, NO_RECORD } from '../../../src/core/buckets.js';
import { seededRandom } from '../../support/stage-random.js';

/** Records whose hashes are given, and that count how often they are asked. */
class Records implements Chained {
  readonly buckets = new Buckets(this);
  asked = 0;
  readonly #hashes: Int32Array;
  readonly #nexts: Int32Array;

  constructor(hashes: Int32Array) {
    this.#hashes = hashes;
    this.#nexts = new Int32Array(hashes.length).fill(NO_RECORD);
  }

  has(record: number): boolean {
    let at = this.buckets.first(this.hashOf(record));
    while (at !== NO_RECORD && at !== record) at = this.nextInBucket(at);
    return at === record;
  }

  hashOf(record: number): number {
    this.asked++;
    return this.#hashes[record] ?? 0;
  }

  nextInBucket(record: number): number {
    this.asked++;
    return this.#nexts[record] ?? NO_RECORD;
  }

  linkInBucket(record: number, next: number): void {
    this.#nexts[record] = next;
  }
}

function randomHashes(count: number, seed: number): Int32Array {
  const bytes = Buffer.alloc(count * 4);
  seededRandom(seed)(bytes);
  return Int32Array.from({ length: count }, (_, at) => bytes.readInt32LE(at * 4));
}

const MANY = 100_000;

describe('buckets', () => {
  it('find what was added and not removed, however many come and go', () => {
    const records = new Records(randomHashes(5000, 1));
    const { buckets } = records;
    const here = new Set<number>();
    const wrong: number[] = [];
    const draws = randomHashes(40_000, 2);
    for (const [step, draw] of draws.entries()) {
      const record = (draw >>> 0) % 5000;
      const grows = Math.floor(step / 8000) % 2 === 0;
      if (here.has(record) && (!grows || draw < 0)) {
        buckets.remove(record);
        here.delete(record);
      } else if (!here.has(record) && (grows || draw % 7 === 0)) {
        buckets.add(record);
        here.add(record);
      }
      if (step % 1000 !== 0) continue;
      for (let at = 0; at < 5000; at++) if (records.has(at) !== here.has(at)) wrong.push(at);
    }
    expect(wrong).toEqual([]);
    expect(buckets.count).toBe(here.size);
    for (const record of here) buckets.remove(record);
    expect(draws.some((draw) => records.has((draw >>> 0) % 5000))).toBe(false);
  });

  it('take as long for each of 100,000 that come and go: none waits for a new size', () => {
    const records = new Records(randomHashes(MANY, 3));
    let most = 0;
    const count = (act: () => void): void => {
      records.asked = 0;
      act();
      most = Math.max(most, records.asked);
    };
    for (let record = 0; record < MANY; record++) count(() => records.buckets.add(record));
    for (let record = 0; record < MANY; record++) count(() => records.has(record));
    for (let record = 0; record < MANY; record++) count(() => records.buckets.remove(record));
    expect(most).toBeLessThan(60);
  });

  it('that share a hash are kept apart, also when those between them go', () => {
    const records = new Records(new Int32Array(40).fill(7));
    for (let record = 0; record < 40; record++) records.buckets.add(record);
    for (let record = 0; record < 40; record += 2) records.buckets.remove(record);
    const found = Array.from({ length: 40 }, (_, record) => records.has(record));
    expect(found).toEqual(found.map((_, record) => record % 2 === 1));
  });
});
