/**
 * A hash for tables whose keys peers choose: HalfSipHash-1-3, which Linux has for its tables (`hsiphash`), with a
 * secret of 64 bits.
 *
 * Who does not know the secret cannot prepare keys that collide. The secret fills all 128 bits of the state, and
 * each word of a key goes through additions, rotations and xors of the whole state before the next one comes. So what
 * becomes of a difference between two keys depends on carries everywhere in the state, and no part of the secret is
 * small enough to prepare keys for each of its values. Three rounds follow the last word: keys that are found to
 * collide, by the time which that takes, tell nothing about the state, and lead to no others.
 *
 * (FNV-1a with a secret start does not do: its xor touches the low byte only, and that depends on the low byte of the
 * start alone. For each of its 256 values, differences can be made to cancel, whatever the other bits are.)
 */
import type { RandomFill } from './random.js';

const SECRET_BYTES = 8;
const WORD = 4;

export class KeyedHash {
  readonly #key0: number;
  readonly #key1: number;
  /** The state behind the last whole word of the latest call, and where that word ends. */
  #v0 = 0;
  #v1 = 0;
  #v2 = 0;
  #v3 = 0;
  #at = 0;

  /** @param random unpredictable where peers are hostile */
  constructor(random: RandomFill) {
    const secret = Buffer.alloc(SECRET_BYTES);
    random(secret);
    this.#key0 = secret.readInt32LE();
    this.#key1 = secret.readInt32LE(WORD);
  }

  /** The hash of `[start, end)` of `bytes`: 32 bits, all equally good. */
  of(bytes: Uint8Array, start: number, end: number): number {
    this.#v0 = this.#key0;
    this.#v1 = this.#key1;
    this.#v2 = this.#key0 ^ 0x6c796765;
    this.#v3 = this.#key1 ^ 0x74656462;
    this.#at = start;
    return this.ofLonger(bytes, start, end);
  }

  /** Like `of`, if the latest call was for a beginning of this: reads only what follows that. */
  ofLonger(bytes: Uint8Array, start: number, end: number): number {
    let v0 = this.#v0;
    let v1 = this.#v1;
    let v2 = this.#v2;
    let v3 = this.#v3;
    let at = this.#at;
    for (; end - at >= WORD; at += WORD) {
      const word =
        (bytes[at] ?? 0) |
        ((bytes[at + 1] ?? 0) << 8) |
        ((bytes[at + 2] ?? 0) << 16) |
        ((bytes[at + 3] ?? 0) << 24);
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
    }
    this.#v0 = v0;
    this.#v1 = v1;
    this.#v2 = v2;
    this.#v3 = v3;
    this.#at = at;
    let word = (end - start) << 24;
    for (let shift = 0; at < end; at++, shift += 8) word |= (bytes[at] ?? 0) << shift;
    // The last word, and three rounds without one. (A function for the round takes half as long again.)
    let mark = 0xff;
    for (let left = 4; left > 0; left--) {
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
      v2 ^= mark;
      word = 0;
      mark = 0;
    }
    return v1 ^ v3;
  }
}
