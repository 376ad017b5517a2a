import { markAsUntransferable } from 'node:worker_threads';

/**
 * Room for copies of small things that were received, one behind the other in larger buffers. As in
 * Node's own pool, a copy keeps its buffer in memory; unlike there, it is no object.
 */
const SLAB_BYTES = 8192;
/** Larger things should have a buffer of their own. */
export const SLAB_COPY_BYTES_MAX: number = SLAB_BYTES / 2;
/** The alignment of a copy in bytes, as in Node's pool, so that it can be viewed as an array of numbers. */
const ALIGNMENT = 8;

export class Slab {
  /** The buffer in which room was reserved last. */
  bytes: Buffer = Buffer.alloc(0);
  readonly #slabBytes: number;
  #at = 0;

  /** @param slabBytes of each buffer: the more, the less often one is made, and the more a copy keeps */
  constructor(slabBytes = SLAB_BYTES) {
    this.#slabBytes = slabBytes;
  }

  /** Reserves `size` bytes in `bytes`. @returns their offset */
  reserve(size: number): number {
    if (this.#at + size > this.bytes.length) {
      this.bytes = Buffer.allocUnsafeSlow(Math.max(this.#slabBytes, size));
      // A program that transfers one copy to a thread would take all others with it.
      markAsUntransferable(this.bytes.buffer);
      this.#at = 0;
    }
    const at = this.#at;
    this.#at = (at + size + ALIGNMENT - 1) & -ALIGNMENT;
    return at;
  }
}
