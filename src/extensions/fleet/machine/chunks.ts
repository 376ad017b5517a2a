/** Puts packs together that came in chunks. Bounded for each broker and for all together. */
import { chunkRoom } from './codec.js';
import type { FleetChunk } from './protocol.js';
import type { FleetPeer } from './peer.js';
import { CHUNKS_SHARE } from './options.js';

/** What a message takes besides its body: names, headers, heads. */
const MARGIN_BYTES = 64 * 1024;

export class Chunks {
  readonly #messageBytesMax: () => number;
  readonly #memoryBytesMax: () => number;
  /** The bytes of all incomplete ones. */
  #bytes = 0;

  constructor(messageBytesMax: () => number, memoryBytesMax: () => number) {
    this.#messageBytesMax = messageBytesMax;
    this.#memoryBytesMax = memoryBytesMax;
  }

  /**
   * Adds a chunk.
   * @returns the entries of the pack if this was the last; `null`: more are to come; `invalid`: it
   *   does not continue what has come, or is too large, and is dropped with it
   */
  add(peer: FleetPeer, number: number, chunk: FleetChunk): Buffer | 'invalid' | null {
    const { total, offset, bytes } = chunk;
    if (offset === 0) {
      this.drop(peer);
      // Bytes are reserved at once, so a chunk must be worth it.
      const isSmall = bytes.length < chunkRoom(1024) && bytes.length < total;
      const most = this.#messageBytesMax() + MARGIN_BYTES;
      if (isSmall || total > most) return 'invalid';
      if (this.#bytes + total > this.#memoryBytesMax() * CHUNKS_SHARE + most) return 'invalid';
      peer.chunks = { bytes: Buffer.allocUnsafeSlow(total), filled: 0, next: number };
      this.#bytes += total;
    }
    const known = peer.chunks;
    const fits = known?.filled === offset && known.next === number && known.bytes.length === total;
    if (known === null || !fits) {
      this.drop(peer);
      return 'invalid';
    }
    bytes.copy(known.bytes, offset);
    known.filled += bytes.length;
    known.next = number + 1;
    if (known.filled < total) return null;
    this.drop(peer);
    return known.bytes;
  }

  drop(peer: FleetPeer): void {
    if (peer.chunks === null) return;
    this.#bytes -= peer.chunks.bytes.length;
    peer.chunks = null;
  }
}
