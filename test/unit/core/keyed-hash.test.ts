import { KeyedHash } from '../../../src/core/keyed-hash.js';
import { collidingKeys, fnv1a } from '../../support/collisions.js';
import { seededRandom } from '../../support/stage-random.js';

/** Hashes of the bytes 0, 1, 2 … under the secret 0 … 7, as Linux has them (lib/tests/siphash_kunit.c). */
const LINUX = [
  0x5814c896, 0xe7e864ca, 0xbc4b0e30, 0x01539939, 0x7e059ea6, 0x88e3d89b, 0xa0080b65, 0x9d38d9d6,
  0x577999b1, 0xc839caed, 0xe4fa32cf, 0x959246ee, 0x6b28096c, 0x66dd9cd6, 0x16658a7c, 0xd0257b04,
  0x8b31d501, 0x2b1cd04b, 0x06712339, 0x522aca67, 0x911bb605, 0x90a65f0e, 0xf826ef7b, 0x62512deb,
];
const SOME_BYTES = Buffer.from(Array.from({ length: 300 }, (_, at) => at));
const KEYS = 1024;

/** How many of the keys are in the fullest of as many places. */
function fullest(hashes: readonly number[]): number {
  const places = new Int32Array(KEYS);
  for (const hash of hashes) {
    const place = hash & (KEYS - 1);
    places[place] = (places[place] ?? 0) + 1;
  }
  return Math.max(...places);
}

describe('the hash of what peers choose', () => {
  it('is HalfSipHash-1-3', () => {
    const hash = new KeyedHash((secret) => {
      SOME_BYTES.copy(secret);
    });
    const hashes = LINUX.map((_, size) => hash.of(SOME_BYTES, 0, size) >>> 0);
    expect(hashes).toEqual(LINUX);
  });

  it('goes on with longer and longer beginnings of the same bytes', () => {
    const [hash, other] = [new KeyedHash(seededRandom(5)), new KeyedHash(seededRandom(5))];
    for (const step of [1, 3, 7, 64]) {
      hash.of(SOME_BYTES, 9, 9);
      for (let end = 9; end <= 265; end += step) {
        expect(hash.ofLonger(SOME_BYTES, 9, end)).toBe(other.of(SOME_BYTES, 9, end));
      }
    }
  });

  it('of keys that collide under FNV-1a, for each lowest byte of its start, differs for all secrets', () => {
    const random = seededRandom(73);
    const secrets = Array.from({ length: 16 }, () => new KeyedHash(random));
    let most = 0;
    for (let low = 0; low < 256; low++) {
      const keys = collidingKeys(low, KEYS);
      const prepared = keys.map((key) => fnv1a(key, 0xabcdef00 | low));
      expect(new Set(prepared).size).toBe(1);
      for (const hash of secrets) {
        const hashes = keys.map((key) => hash.of(key, 0, key.length));
        expect(new Set(hashes).size).toBeGreaterThan(KEYS - 3);
        most = Math.max(most, fullest(hashes));
      }
    }
    // Of so many draws, chance alone makes it 8 to 10.
    expect(most).toBeLessThan(13);
  });
});
