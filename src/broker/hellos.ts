/** The envelopes whose owners said `mmi.hello` over one connection, and so hear of refusals (D11). */
import { PackedCursor, readPacked } from '../core/packed.js';

export class Hellos {
  /** Packed, one character a byte. */
  readonly #known = new Set<string>();
  /** Of the longest. */
  #bytesMax = 0;
  /** Of them all. */
  bytes = 0;

  get count(): number {
    return this.#known.size;
  }

  has(envelope: Buffer): boolean {
    return this.#known.has(envelope.toString('latin1'));
  }

  add(envelope: Buffer): void {
    this.#known.add(envelope.toString('latin1'));
    this.#bytesMax = Math.max(this.#bytesMax, envelope.length);
    this.bytes += envelope.length;
  }

  /**
   * True if the packed envelope `[start, end)` begins with one of them. It costs a look-up for each
   * of the envelope's few frames, however many have said hello.
   */
  covers(buffer: Buffer, start: number, end: number): boolean {
    if (this.#known.size === 0) return false;
    const cursor = new PackedCursor();
    cursor.end = start;
    while (cursor.end - start <= this.#bytesMax) {
      if (this.#known.has(buffer.toString('latin1', start, cursor.end))) return true;
      if (cursor.end >= end) return false;
      readPacked(buffer, cursor.end, cursor);
    }
    return false;
  }
}
