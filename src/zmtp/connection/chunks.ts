/** Buffers of two sizes, which all connections share: for output that waits, and for input that is incomplete. */
import { freeBytes, Words } from '../../core/bytes.js';
import { pieceOf } from '../../core/piece.js';

/** Small for a heartbeat, large for a batch of replies or a part of a message. */
export const CHUNK_BYTES = [1024, 64 * 1024] as const;
/** Overhead of a chunk and its view. */
export const CHUNK_COST_BYTES = 256;
const POOLED_MAX = [4096, 256] as const;

const pools: readonly Words[][] = [[], []];

export function takeChunk(size: 0 | 1): Words {
  return pools[size]?.pop() ?? new Words(Buffer.allocUnsafeSlow(CHUNK_BYTES[size]));
}

/** Returns chunks to the pool once nobody uses their bytes, and releases pieces, which are larger. */
export function recycle(chunks: readonly Words[]): void {
  for (const chunk of chunks) {
    const { length } = chunk.bytes;
    const size = length === CHUNK_BYTES[0] ? 0 : 1;
    const pool = pools[size];
    if (length > CHUNK_BYTES[1]) pieceOf(chunk.bytes)?.release();
    if (pool === undefined || length !== CHUNK_BYTES[size]) continue;
    if (pool.length < POOLED_MAX[size]) pool.push(chunk);
    else freeBytes(chunk.bytes);
  }
}
