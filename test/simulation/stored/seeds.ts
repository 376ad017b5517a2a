/** Runs worlds of stored requests; reports a failing one by its seed and the end of its script. */
import { MajordomoError, messageOf } from '../../../src/core/errors.js';
import type { Tally } from '../actors/tally.js';
import { StoredWorld } from './world.js';

const SCRIPT_LINES = 80;

export function runStoredSeed(seed: number, tally: Tally): void {
  const world = new StoredWorld(seed);
  try {
    world.run();
  } catch (error) {
    throw new MajordomoError('ERR_SIMULATION', explain(seed, error));
  }
  tally.add(world.tally);
}

function explain(seed: number, error: unknown): string {
  const world = new StoredWorld(seed, true);
  try {
    world.run();
  } catch {
    // The same run again, to record its script.
  }
  return [
    `seed ${seed}: ${messageOf(error)}`,
    `replay: npm run simulate -- --stored --seeds 1 --from ${seed}`,
    'the end of its script:',
    ...world.trace.last(SCRIPT_LINES),
  ].join('\n');
}
