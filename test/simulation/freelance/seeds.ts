/** Runs worlds of several brokers; reports a failing one by its seed and the end of its script. */
import { codeOf, MajordomoError, messageOf } from '../../../src/core/errors.js';
import type { Tally } from '../actors/tally.js';
import { FreelanceWorld } from './world.js';

const SCRIPT_LINES = 120;

export function runFreelanceSeed(seed: number, tally: Tally): void {
  const world = new FreelanceWorld(seed);
  try {
    world.run();
  } catch (error) {
    throw new MajordomoError('ERR_SIMULATION', explain(seed, error));
  }
  tally.add(world.tally);
}

/** For an assertion, its location. */
function stackOf(error: unknown): string {
  const text = messageOf(error);
  const isFound = codeOf(error) === 'ERR_SIMULATION';
  if (isFound || typeof error !== 'object' || error === null || !('stack' in error)) return text;
  return String(error.stack);
}

function explain(seed: number, error: unknown): string {
  const world = new FreelanceWorld(seed, true);
  try {
    world.run();
  } catch {
    // The same run again, to record its script.
  }
  return [
    `seed ${seed}: ${stackOf(error)}`,
    `replay: npm run simulate -- --freelance --seeds 1 --from ${seed}`,
    'the end of its script:',
    ...world.trace.last(SCRIPT_LINES),
  ].join('\n');
}
