/**
 * A map from byte strings to small integers, looked up by a slice of a buffer: a look-up allocates
 * no string and no object. Open addressing with linear probing; removal shifts entries back.
 */
import { present } from './assert.js';

const EMPTY_SLOT = -1;
const FNV_PRIME = 0x01000193;
const SIZE_MIN = 16;

export class ByteTable {
  readonly #seed: number;
  #keys: (Buffer | null)[] = new Array<Buffer | null>(SIZE_MIN).fill(null);
  #hashes: Int32Array = new Int32Array(SIZE_MIN);
  #values: Int32Array = new Int32Array(SIZE_MIN).fill(EMPTY_SLOT);
  #count = 0;

  /** @param seed unpredictable where peers choose the keys, so that they cannot cause collisions */
  constructor(seed: number) {
    this.#seed = seed;
  }

  get size(): number {
    return this.#count;
  }

  /** The value of the key `[start, end)` of `bytes`, or -1. */
  get(bytes: Uint8Array, start: number, end: number): number {
    const at = this.#find(bytes, start, end, this.#hash(bytes, start, end));
    return this.#values[at] ?? EMPTY_SLOT;
  }

  /** Adds a key that is not in the table. The table keeps `key`. */
  add(key: Buffer, value: number): void {
    if ((this.#count + 1) * 2 > this.#values.length) this.#resize(this.#values.length * 2);
    const hash = this.#hash(key, 0, key.length);
    this.#put(this.#find(key, 0, key.length, hash), key, hash, value);
    this.#count++;
  }

  delete(key: Uint8Array): void {
    const mask = this.#values.length - 1;
    let hole = this.#find(key, 0, key.length, this.#hash(key, 0, key.length));
    if (this.#values[hole] === EMPTY_SLOT) return;
    this.#count--;
    for (let at = (hole + 1) & mask; this.#values[at] !== EMPTY_SLOT; at = (at + 1) & mask) {
      const homeSlot = (this.#hashes[at] ?? 0) & mask;
      // An entry may move into the hole if its home slot is not between the hole and itself.
      if (((at - homeSlot) & mask) >= ((at - hole) & mask)) {
        this.#put(hole, this.#keys[at] ?? null, this.#hashes[at] ?? 0, this.#values[at] ?? 0);
        hole = at;
      }
    }
    this.#put(hole, null, 0, EMPTY_SLOT);
    if (this.#values.length > SIZE_MIN && this.#count * 8 < this.#values.length) {
      this.#resize(this.#values.length / 2);
    }
  }

  #put(at: number, key: Buffer | null, hash: number, value: number): void {
    this.#keys[at] = key;
    this.#hashes[at] = hash;
    this.#values[at] = value;
  }

  /** The slot of the key, or the empty slot where it would be added. */
  #find(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const mask = this.#values.length - 1;
    let at = hash & mask;
    while (this.#values[at] !== EMPTY_SLOT) {
      if (this.#hashes[at] === hash && sameBytes(this.#keys[at], bytes, start, end)) return at;
      at = (at + 1) & mask;
    }
    return at;
  }

  #hash(bytes: Uint8Array, start: number, end: number): number {
    let hash = this.#seed | 0;
    for (let at = start; at < end; at++) {
      hash = Math.imul(hash ^ (bytes[at] ?? 0), FNV_PRIME);
    }
    // The table uses the low bits, and FNV's low bits are weak.
    return hash ^ (hash >>> 15);
  }

  #resize(size: number): void {
    const keys = this.#keys;
    const hashes = this.#hashes;
    const values = this.#values;
    this.#keys = new Array<Buffer | null>(size).fill(null);
    this.#hashes = new Int32Array(size);
    this.#values = new Int32Array(size).fill(EMPTY_SLOT);
    for (const [index, key] of keys.entries()) {
      if (key === null) continue;
      const hash = hashes[index] ?? 0;
      const at = this.#find(key, 0, key.length, hash);
      this.#put(at, key, hash, present(values[index], 'a value'));
    }
  }
}

function sameBytes(
  key: Buffer | null | undefined,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (key?.length !== end - start) return false;
  for (let i = 0; i < key.length; i++) if (key[i] !== bytes[start + i]) return false;
  return true;
}
