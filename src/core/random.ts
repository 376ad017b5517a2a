import { randomFillSync } from 'node:crypto';

/** Fills the buffer with unpredictable bytes. Machines are given one: tests and simulator seed theirs. */
export type RandomFill = (target: Buffer) => void;

/** The operating system's secure source. */
export const secureRandom: RandomFill = (target) => {
  randomFillSync(target);
};
