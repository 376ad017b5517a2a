/**
 * A map from byte strings to small integers, each of which has one string. Looked up by a slice of a buffer: a look-up
 * allocates no string and no object.
 */
import { Buckets, NO_RECORD } from './buckets.js';
import { KeyedHash } from './keyed-hash.js';
import type { RandomFill } from './random.js';

/** A power of two. */
const RECENT = 1024;

export class ByteTable {
  readonly #hash: KeyedHash;
  readonly #buckets = new Buckets();
  readonly #keys: (Buffer | undefined)[] = [];
  /**
   * Values that were found, by the ends of their keys: few keys are asked for often, and most of these are found here
   * without a hash. Whoever prepares keys that share a place only takes that away.
   */
  readonly #recent = new Int32Array(RECENT);

  /** @param random see `KeyedHash` */
  constructor(random: RandomFill) {
    this.#hash = new KeyedHash(random);
  }

  get size(): number {
    return this.#buckets.count;
  }

  /** The value of the key `[start, end)` of `bytes`, or -1. */
  get(bytes: Uint8Array, start: number, end: number): number {
    const place = placeOf(bytes, end);
    const recent = this.#recent[place] ?? 0;
    if (isSame(this.#keys[recent], bytes, start, end)) return recent;
    const hash = this.#hash.of(bytes, start, end);
    const buckets = this.#buckets;
    for (let value = buckets.first(hash); value !== NO_RECORD; value = buckets.next(value)) {
      if (buckets.hashOf(value) !== hash || !isSame(this.#keys[value], bytes, start, end)) continue;
      this.#recent[place] = value;
      return value;
    }
    return NO_RECORD;
  }

  /**
   * Adds a key that is not in the table. The table keeps `key`.
   * @param value not in the table either; memory is kept for all below it
   */
  add(key: Buffer, value: number): void {
    this.#keys[value] = key;
    this.#buckets.add(value, this.#hash.of(key, 0, key.length));
  }

  /** Removes a value that is in the table, with its key. */
  delete(value: number): void {
    this.#buckets.remove(value);
    this.#keys[value] = undefined;
  }
}

/** Names that differ in their last digits have places of their own. */
function placeOf(bytes: Uint8Array, end: number): number {
  if (end < 3) return 0;
  const [last, second, third] = [bytes[end - 1] ?? 0, bytes[end - 2] ?? 0, bytes[end - 3] ?? 0];
  return (last + second * 10 + third * 100) & (RECENT - 1);
}

function isSame(key: Buffer | undefined, bytes: Uint8Array, start: number, end: number): boolean {
  if (key?.length !== end - start) return false;
  for (let i = 0; i < key.length; i++) if (key[i] !== bytes[start + i]) return false;
  return true;
}
