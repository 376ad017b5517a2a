/**
 * The envelopes whose owners sent `mmi.hello` over one connection and therefore get refusals (D11),
 * with what each said about itself.
 */
import { pack, PackedCursor, packedBytes, readPacked } from '../../core/packed.js';
import type { Inbound } from '../../wire/inbound.js';
import type { Hello } from '../../wire/mmi.js';

export class Hellos {
  /** Keyed by the packed envelope, one character per byte. */
  readonly #known = new Map<string, Hello>();
  /** What the owner of the empty envelope, with which all others begin, says about itself. */
  #forAll: Hello | null = null;
  /** Length of the longest envelope. */
  #bytesMax = 0;
  /** Length of all envelopes together. */
  bytes = 0;

  get count(): number {
    return this.#known.size;
  }

  has(envelope: Buffer): boolean {
    return this.#known.has(envelope.toString('latin1'));
  }

  /** Sets what the envelope's owner says about itself. */
  set(envelope: Buffer, hello: Hello): void {
    const key = envelope.toString('latin1');
    if (!this.#known.has(key)) this.bytes += envelope.length;
    this.#known.set(key, hello);
    if (envelope.length === 0) this.#forAll = hello;
    this.#bytesMax = Math.max(this.#bytesMax, envelope.length);
  }

  /**
   * Returns the hello of the longest known envelope with which the packed envelope `[start, end)`
   * begins; `null` if there is none. It costs one look-up for each of the envelope's few frames,
   * however many have said hello.
   */
  of(buffer: Buffer, start: number, end: number): Hello | null {
    if (this.#known.size === 0) return null;
    if (this.#bytesMax === 0) return this.#forAll;
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

/** The packed envelope of a request that has just arrived. */
export function packedEnvelope({ frames, envelopeFrames }: Inbound): Buffer {
  const envelope = Buffer.allocUnsafe(packedBytes(frames, 0, envelopeFrames));
  pack(frames, 0, envelopeFrames, envelope, 0, true);
  return envelope;
}
