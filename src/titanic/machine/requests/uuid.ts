import type { RandomFill } from '../../../core/random.js';

const UUID_BYTES = 16;
const POOL_UUIDS = 256;

/**
 * UUIDs of version 7 (RFC 9562 §5.7): 48 bits of time, then 74 random bits, which make it the only
 * credential for a reply. Because they are ordered by time, new index entries of the store are next
 * to each other.
 */
export class Uuids {
  readonly #random: RandomFill;
  readonly #pool = Buffer.alloc(POOL_UUIDS * UUID_BYTES);
  #at: number = POOL_UUIDS * UUID_BYTES;

  constructor(random: RandomFill) {
    this.#random = random;
  }

  /** @param wallMs milliseconds since 1970 */
  next(wallMs: number): Buffer {
    if (this.#at === this.#pool.length) {
      this.#random(this.#pool);
      this.#at = 0;
    }
    const uuid = Buffer.from(this.#pool.subarray(this.#at, this.#at + UUID_BYTES));
    this.#at += UUID_BYTES;
    uuid.writeUIntBE(wallMs, 0, 6);
    uuid[6] = 0x70 | ((uuid[6] ?? 0) & 0x0f);
    uuid[8] = 0x80 | ((uuid[8] ?? 0) & 0x3f);
    return uuid;
  }
}
