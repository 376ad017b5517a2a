import { expect } from '@jest/globals';
import { Tally } from './actors/tally.js';
import { runSeed } from './world/seeds.js';

/** Runs the seeds `[from, from + count)`; a failure shows its seed and its script. */
export function expectSeedsHold(from: number, count: number): void {
  const tally = new Tally();
  for (let seed = from; seed < from + count; seed++) runSeed(seed, tally);
  // Worlds in which nothing happens prove nothing.
  expect(tally.requests).toBeGreaterThan(count);
  expect(tally.replies).toBeGreaterThan(count);
  expect(tally.faultCount).toBeGreaterThan(count);
}
