/**
 * The envelopes whose owners said `mmi.hello` over one connection, and so hear of refusals (D11),
 * with what each said of itself.
 */
import { PackedCursor, readPacked } from '../core/packed.js';
import type { Hello } from '../wire/mmi.js';

export class Hellos {
  /** By the packed envelope, one character a byte. */
  readonly #known = new Map<string, Hello>();
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

  /** What the envelope's owner says from now on. */
  set(envelope: Buffer, hello: Hello): void {
    const key = envelope.toString('latin1');
    if (!this.#known.has(key)) this.bytes += envelope.length;
    this.#known.set(key, hello);
    this.#bytesMax = Math.max(this.#bytesMax, envelope.length);
  }

  /**
   * What was said by the owner of an envelope with which the packed envelope `[start, end)` begins, of
   * several by that of the longest; `null`: nothing was. It costs a look-up for each of the
   * envelope's few frames, however many have said hello.
   */
  of(buffer: Buffer, start: number, end: number): Hello | null {
    if (this.#known.size === 0) return null;
    const cursor = new PackedCursor();
    cursor.end = start;
    let found: Hello | null = null;
    while (cursor.end - start <= this.#bytesMax) {
      found = this.#known.get(buffer.toString('latin1', start, cursor.end)) ?? found;
      if (cursor.end >= end) break;
      readPacked(buffer, cursor.end, cursor);
    }
    return found;
  }
}
