/**
 * Bytes waiting to be written to one connection, in chunks from a shared pool. A frame is copied
 * once; an idle connection holds no chunk.
 */
import { copyBytes, Words } from '../core/bytes.js';

/** Chunk sizes: small for a heartbeat, large for a batch of replies. */
const CHUNK_BYTES = [1024, 64 * 1024] as const;
/** Overhead of a chunk and its view. */
const CHUNK_COST_BYTES = 256;
const POOLED_MAX = [4096, 256] as const;

const pools: readonly Words[][] = [[], []];

function takeChunk(size: 0 | 1): Words {
  return pools[size]?.pop() ?? new Words(Buffer.allocUnsafeSlow(CHUNK_BYTES[size]));
}

/** Returns chunks to the pool once the kernel has their bytes. */
export function recycle(chunks: readonly Words[]): void {
  for (const chunk of chunks) {
    const { length } = chunk.bytes;
    const size = length === CHUNK_BYTES[0] ? 0 : 1;
    const pool = pools[size];
    if (pool === undefined || length !== CHUNK_BYTES[size]) continue;
    if (pool.length < POOLED_MAX[size]) pool.push(chunk);
  }
}

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
  #at = 0;
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
    const at = this.reserve(end - start);
    copyBytes(source, start, end, this.chunk.bytes, at);
  }

  /**
   * Appends bytes that never change without copying: their whole buffer stays in memory until they
   * are written.
   */
  share(bytes: Buffer, start: number, end: number): void {
    this.#closeChunk();
    const roomBytes = bytes.buffer.byteLength + CHUNK_COST_BYTES;
    this.#push(NO_CHUNK, bytes.subarray(start, end), roomBytes);
    this.#bytes += end - start;
    this.#roomBytes += roomBytes;
  }

  /** Takes the waiting bytes: all of them, or the first `bytesMax`. */
  take(bytesMax: number = UNBOUNDED): Taken {
    this.#closeChunk();
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
    for (let left = bytes; left > 0;) {
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
    const size = Math.max(bytes, this.#bytes, this.#lastTakenBytes) > CHUNK_BYTES[0] ? 1 : 0;
    this.#closeChunk();
    this.chunk =
      bytes > CHUNK_BYTES[1] ? new Words(Buffer.allocUnsafeSlow(bytes)) : takeChunk(size);
    this.#roomBytes += this.chunk.bytes.length + CHUNK_COST_BYTES;
  }

  #closeChunk(): void {
    const { chunk } = this;
    const { bytes } = chunk;
    if (bytes.length > 0) {
      this.#push(chunk, bytes.subarray(0, this.#at), bytes.length + CHUNK_COST_BYTES);
    }
    this.chunk = NO_CHUNK;
    this.#at = 0;
  }

  #push(chunk: Words, view: Buffer, roomBytes: number): void {
    this.#chunks.push(chunk);
    this.#views.push(view);
    this.#rooms.push(roomBytes);
  }
}

const NO_CHUNK: Words = new Words(Buffer.alloc(0));
const UNBOUNDED = Infinity;
