/**
 * A map from byte strings to small integers, each of which has one string. Looked up by a slice of a buffer: a look-up
 * allocates no string and no object.
 */
import { Buckets, type Chained, NO_RECORD } from './buckets.js';
import { KeyedHash } from './keyed-hash.js';
import type { RandomFill } from './random.js';

const NO_KEY: Buffer = Buffer.alloc(0);

export class ByteTable implements Chained {
  readonly #hash: KeyedHash;
  readonly #buckets = new Buckets(this);
  /** For each value its key, the key's hash, and the next value in its bucket. */
  readonly #keys: Buffer[] = [];
  readonly #hashes: number[] = [];
  readonly #nexts: number[] = [];
  /** The value that was found last: that is often the next one, too. */
  #latest = NO_RECORD;

  /** @param random see `KeyedHash` */
  constructor(random: RandomFill) {
    this.#hash = new KeyedHash(random);
  }

  get size(): number {
    return this.#buckets.count;
  }

  /** The value of the key `[start, end)` of `bytes`, or -1. */
  get(bytes: Uint8Array, start: number, end: number): number {
    if (isSame(this.#keys[this.#latest], bytes, start, end)) return this.#latest;
    const hash = this.#hash.of(bytes, start, end);
    for (let value = this.#buckets.first(hash); value !== NO_RECORD;) {
      const isFound = this.#hashes[value] === hash && isSame(this.#keys[value], bytes, start, end);
      if (isFound) return (this.#latest = value);
      value = this.nextInBucket(value);
    }
    return NO_RECORD;
  }

  /**
   * Adds a key that is not in the table. The table keeps `key`.
   * @param value not in the table either; memory is kept for all below it
   */
  add(key: Buffer, value: number): void {
    this.#keys[value] = key;
    this.#hashes[value] = this.#hash.of(key, 0, key.length);
    this.#buckets.add(value);
  }

  /** Removes a value that is in the table, with its key. */
  delete(value: number): void {
    this.#buckets.remove(value);
    this.#keys[value] = NO_KEY;
    if (this.#latest === value) this.#latest = NO_RECORD;
  }

  hashOf(value: number): number {
    return this.#hashes[value] ?? 0;
  }

  nextInBucket(value: number): number {
    return this.#nexts[value] ?? NO_RECORD;
  }

  linkInBucket(value: number, next: number): void {
    this.#nexts[value] = next;
  }
}

function isSame(key: Buffer | undefined, bytes: Uint8Array, start: number, end: number): boolean {
  if (key?.length !== end - start) return false;
  for (let i = 0; i < key.length; i++) if (key[i] !== bytes[start + i]) return false;
  return true;
}
