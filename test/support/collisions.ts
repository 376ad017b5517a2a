/**
 * Keys that collide under FNV-1a, which begins with a secret but has no other: its xor touches the lowest byte
 * only. So for each lowest byte of the start there are keys that collide, whatever its other bits are.
 */
const PRIME = 0x01000193;
/** The factor whose product with the prime ends with 01. */
const INVERSE = 0x9b;
const BLOCKS = 20;
const BLOCK_BYTES = 4;
/** Blocks that differ in many bits collide sooner. */
const SPREAD = 0x9e3779b1;

export function fnv1a(bytes: Uint8Array, start: number): number {
  let hash = start | 0;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, PRIME);
  return hash;
}

/** How many families of colliding keys there are: one for each lowest byte of a start. */
export const COLLIDING_SETS = 256;

/**
 * @param set the lowest byte of the start
 * @param from the first of them, of a million
 * @returns keys of 80 bytes
 */
export function collidingKeys(set: number, count: number, from = 0): Buffer[] {
  const blocks = collidingBlocks(set);
  return Array.from({ length: count }, (_, index) => {
    const key = Buffer.alloc(BLOCKS * BLOCK_BYTES);
    for (let at = 0; at < BLOCKS; at++) {
      key.set(blocks[((from + index) >>> at) & 1 ? 1 : 0], at * BLOCK_BYTES);
    }
    return key;
  });
}

/** Two blocks of bytes that have the same effect on a hash that ends with this byte, and leave that byte as it is. */
function collidingBlocks(low: number): readonly [Buffer, Buffer] {
  const known = new Map<number, Buffer>();
  for (let number = 0; ; number++) {
    const block = Buffer.alloc(BLOCK_BYTES);
    block.writeInt32LE(Math.imul(number, SPREAD));
    block[3] = fnv1a(block.subarray(0, 3), low) ^ (low * INVERSE);
    const hash = fnv1a(block, low);
    const other = known.get(hash);
    if (other !== undefined) return [other, block];
    known.set(hash, block);
  }
}
