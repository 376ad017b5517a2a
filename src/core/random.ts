import { randomFillSync } from 'node:crypto';

/**
 * Fills the buffer with unpredictable bytes. Machines take one as an argument; tests and the
 * simulator pass a seeded one.
 */
export type RandomFill = (target: Buffer) => void;

/** The operating system's secure source. */
export const secureRandom: RandomFill = (target) => {
  randomFillSync(target);
};
