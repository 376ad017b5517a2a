/**
 * Bytes waiting to be written to one connection, in chunks from a shared pool. A frame is copied
 * once; an idle connection holds no chunk.
 */
import { copyBytes, Words } from '../../core/bytes.js';
import { Piece } from '../../core/piece.js';
import { CHUNK_BYTES, CHUNK_COST_BYTES, takeChunk } from './chunks.js';

/**
 * The bytes to write now: `views` are the bytes, `chunks` are to be recycled afterwards. A chunk is
 * included with the last of its bytes.
 */
export interface Taken {
  readonly chunks: readonly Words[];
  readonly views: readonly Buffer[];
  readonly bytes: number;
  /** Memory of the chunks. */
  readonly roomBytes: number;
}

export class OutputQueue {
  /** The chunk being filled: `reserve` returns an offset into it. */
  chunk: Words = NO_CHUNK;
  /** Where the next bytes go, and where those begin that are in no view yet. */
  #at = 0;
  #from = 0;
  /** While `chunk` is one for a large frame: the one that was being filled, up to `#spareAt`. */
  #spare: Words | null = null;
  #spareAt = 0;
  #bytes = 0;
  #roomBytes = 0;
  #lastTakenBytes = 0;
  #chunks: Words[] = [];
  #views: Buffer[] = [];
  /** Memory of each chunk. */
  #rooms: number[] = [];

  /** Bytes waiting. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Memory of the waiting bytes: a chunk may hold few of them. */
  get roomBytes(): number {
    return this.#roomBytes;
  }

  /** Reserves `bytes` contiguous bytes in `chunk`. Returns their offset. */
  reserve(bytes: number): number {
    if (this.#at + bytes > this.chunk.bytes.length) this.#nextChunk(bytes);
    const at = this.#at;
    this.#at = at + bytes;
    this.#bytes += bytes;
    return at;
  }

  /** Appends a copy of the bytes. */
  append(source: Uint8Array, start: number, end: number): void {
    const bytes = end - start;
    const from = start + this.#fillLarge(source, start, bytes);
    const at = this.reserve(end - from);
    copyBytes(source, from, end, this.chunk.bytes, at);
  }

  /** Uses up what is left of a large chunk that is too small for all. Returns how many bytes. */
  #fillLarge(source: Uint8Array, start: number, bytes: number): number {
    const { length } = this.chunk.bytes;
    const left = length - this.#at;
    if (bytes <= left || bytes > CHUNK_BYTES[1] || length !== CHUNK_BYTES[1]) return 0;
    copyBytes(source, start, start + left, this.chunk.bytes, this.reserve(left));
    return left;
  }

  /**
   * Appends bytes that never change without copying: their whole buffer stays in memory until they
   * are written. What follows them goes on in the chunk that was being filled.
   * @param piece in which they are; `null`: V8 collects their memory
   */
  share(bytes: Buffer, start: number, end: number, piece: Piece | null): void {
    this.#showFilled();
    const roomBytes = bytes.buffer.byteLength + CHUNK_COST_BYTES;
    piece?.hold();
    this.#push(piece?.words ?? NO_CHUNK, bytes.subarray(start, end), roomBytes);
    this.#bytes += end - start;
    this.#roomBytes += roomBytes;
  }

  /** Takes the waiting bytes: all of them, or the first `bytesMax`. */
  take(bytesMax: number = UNBOUNDED): Taken {
    this.#closeChunk();
    this.#closeSpare();
    if (this.#bytes > bytesMax) return this.#takeFirst(bytesMax);
    const taken = {
      chunks: this.#chunks,
      views: this.#views,
      bytes: this.#bytes,
      roomBytes: this.#roomBytes,
    };
    this.#lastTakenBytes = this.#bytes;
    this.#bytes = 0;
    this.#roomBytes = 0;
    this.#chunks = [];
    this.#views = [];
    this.#rooms = [];
    return taken;
  }

  #takeFirst(bytes: number): Taken {
    const views: Buffer[] = [];
    let whole = 0;
    let roomBytes = 0;
    for (let left = bytes; left > 0 || this.#views[whole]?.length === 0;) {
      const view = this.#views[whole] ?? NO_CHUNK.bytes;
      if (view.length > left) {
        views.push(view.subarray(0, left));
        this.#views[whole] = view.subarray(left);
        break;
      }
      views.push(view);
      left -= view.length;
      roomBytes += this.#rooms[whole] ?? 0;
      whole++;
    }
    this.#views.splice(0, whole);
    this.#rooms.splice(0, whole);
    this.#lastTakenBytes = bytes;
    this.#bytes -= bytes;
    this.#roomBytes -= roomBytes;
    return { chunks: this.#chunks.splice(0, whole), views, bytes, roomBytes };
  }

  #nextChunk(bytes: number): void {
    const isLarge = bytes > CHUNK_BYTES[1];
    if (isLarge && this.#spare === null && this.chunk.bytes.length === CHUNK_BYTES[1]) {
      this.#showFilled();
      this.#spare = this.chunk;
      this.#spareAt = this.#at;
      this.chunk = NO_CHUNK;
    } else {
      this.#closeChunk();
    }
    const spare = this.#spare;
    if (!isLarge && spare !== null && this.#spareAt + bytes <= spare.bytes.length) {
      this.chunk = spare;
      this.#at = this.#spareAt;
      this.#from = this.#spareAt;
      this.#spare = null;
      return;
    }
    if (!isLarge) this.#closeSpare();
    const size = Math.max(bytes, this.#bytes, this.#lastTakenBytes) > CHUNK_BYTES[0] ? 1 : 0;
    this.chunk = isLarge ? new Piece(bytes).words : takeChunk(size);
    this.#at = 0;
    this.#from = 0;
    this.#roomBytes += this.chunk.bytes.length + CHUNK_COST_BYTES;
  }

  /** Makes a view of what was filled of the chunk, which is filled further. */
  #showFilled(): void {
    if (this.#at === this.#from) return;
    this.#push(NO_CHUNK, this.chunk.bytes.subarray(this.#from, this.#at), 0);
    this.#from = this.#at;
  }

  #closeChunk(): void {
    const { chunk } = this;
    const { bytes } = chunk;
    // (Perhaps all its bytes are in views already.)
    if (bytes.length > 0) {
      this.#push(chunk, bytes.subarray(this.#from, this.#at), bytes.length + CHUNK_COST_BYTES);
    }
    this.chunk = NO_CHUNK;
    this.#at = 0;
    this.#from = 0;
  }

  /** Puts the spare chunk into the queue, to be recycled: its bytes are in views already. */
  #closeSpare(): void {
    const spare = this.#spare;
    if (spare === null) return;
    this.#push(spare, NO_CHUNK.bytes, spare.bytes.length + CHUNK_COST_BYTES);
    this.#spare = null;
  }

  #push(chunk: Words, view: Buffer, roomBytes: number): void {
    this.#chunks.push(chunk);
    this.#views.push(view);
    this.#rooms.push(roomBytes);
  }
}

const NO_CHUNK: Words = new Words(Buffer.alloc(0));
const UNBOUNDED = Infinity;
