import { randomFillSync } from 'node:crypto';

/**
 * Fills the buffer with unpredictable bytes. Machines take one as an argument; tests and the
 * simulator pass a seeded one.
 */
export type RandomFill = (target: Buffer) => void;

/** A name that nobody else has: 96 bits in base64url. */
export function randomName(): string {
  const bytes = Buffer.alloc(12);
  secureRandom(bytes);
  return bytes.toString('base64url');
}

/** A call of the system takes microseconds, so ids are taken from a supply. */
const SUPPLY_BYTES = 4096;
const SMALL_BYTES_MAX = 64;
const supply = Buffer.alloc(SUPPLY_BYTES);
let used = SUPPLY_BYTES;

/** The operating system's secure source. */
export const secureRandom: RandomFill = (target) => {
  const { length } = target;
  if (length > SMALL_BYTES_MAX) {
    randomFillSync(target);
    return;
  }
  if (used + length > SUPPLY_BYTES) {
    randomFillSync(supply);
    used = 0;
  }
  supply.copy(target, 0, used, used + length);
  // Nobody finds in memory what was given out.
  supply.fill(0, used, used + length);
  used += length;
};
