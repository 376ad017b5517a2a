/**
 * The envelopes whose owners sent `mmi.hello` over one connection and therefore get refusals (D11),
 * with what each said about itself.
 */
import { pack, PackedCursor, packedBytes, readPacked } from '../../core/packed.js';
import type { Inbound } from '../../wire/inbound.js';
import type { ClientHello } from '../../wire/mmi.js';

/** An envelope, or the beginning of some. */
class Prefix {
  hello: ClientHello | null = null;
  /** Longer beginnings, by the frame that follows, one character per byte. */
  readonly next = new Map<string, Prefix>();
}

export class Hellos {
  readonly #empty = new Prefix();
  #count = 0;
  /** Length of the longest envelope. */
  #bytesMax = 0;
  /** Length of all envelopes together. */
  bytes = 0;

  get count(): number {
    return this.#count;
  }

  /** @param envelope packed */
  has(envelope: Buffer): boolean {
    let prefix: Prefix | undefined = this.#empty;
    const cursor = new PackedCursor();
    for (cursor.end = 0; prefix !== undefined && cursor.end < envelope.length;) {
      prefix = prefix.next.get(nextFrame(envelope, cursor));
    }
    return prefix !== undefined && prefix.hello !== null;
  }

  /** Sets what the envelope's owner says about itself. @param envelope packed */
  set(envelope: Buffer, hello: ClientHello): void {
    let prefix = this.#empty;
    const cursor = new PackedCursor();
    for (cursor.end = 0; cursor.end < envelope.length;) {
      const frame = nextFrame(envelope, cursor);
      let next = prefix.next.get(frame);
      if (next === undefined) prefix.next.set(frame, (next = new Prefix()));
      prefix = next;
    }
    if (prefix.hello === null) {
      this.#count++;
      this.bytes += envelope.length;
      this.#bytesMax = Math.max(this.#bytesMax, envelope.length);
    }
    prefix.hello = hello;
  }

  /**
   * Returns the hello of the longest known envelope with which the packed envelope `[start, end)`
   * begins; `null` if there is none. Each frame is looked at once at most, however many have said
   * hello.
   */
  of(buffer: Buffer, start: number, end: number): ClientHello | null {
    let prefix: Prefix | undefined = this.#empty;
    let found = prefix.hello;
    if (this.#bytesMax === 0) return found;
    const cursor = new PackedCursor();
    for (cursor.end = start; prefix.next.size > 0 && cursor.end < end;) {
      readPacked(buffer, cursor.end, cursor);
      if (cursor.end - start > this.#bytesMax) break;
      prefix = prefix.next.get(buffer.toString('latin1', cursor.start, cursor.end));
      if (prefix === undefined) break;
      found = prefix.hello ?? found;
    }
    return found;
  }
}

function nextFrame(envelope: Buffer, cursor: PackedCursor): string {
  readPacked(envelope, cursor.end, cursor);
  return envelope.toString('latin1', cursor.start, cursor.end);
}

/** The packed envelope of a request that has just arrived. */
export function packedEnvelope({ frames, envelopeFrames }: Inbound): Buffer {
  const envelope = Buffer.allocUnsafe(packedBytes(frames, 0, envelopeFrames));
  pack(frames, 0, envelopeFrames, envelope, 0, true);
  return envelope;
}
