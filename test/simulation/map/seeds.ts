/** Runs worlds of a map; reports a failing one by its seed and the end of its script. */
import { MajordomoError } from '../../../src/core/errors.js';
import type { Tally } from '../actors/tally.js';
import { stackOf } from '../world/failure.js';
import { MapOnlyWorld } from './world.js';

const SCRIPT_LINES = 100;

export function runMapSeed(seed: number, tally: Tally): void {
  const world = new MapOnlyWorld(seed);
  try {
    world.run();
  } catch (error) {
    throw new MajordomoError('ERR_SIMULATION', explain(seed, error));
  }
  tally.add(world.tally);
}

function explain(seed: number, error: unknown): string {
  const world = new MapOnlyWorld(seed, true);
  try {
    world.run();
  } catch {
    // The same run again, to record its script.
  }
  return [
    `seed ${seed}: ${stackOf(error)}`,
    `replay: npm run simulate -- --map --seeds 1 --from ${seed}`,
    'the end of its script:',
    ...world.trace.last(SCRIPT_LINES),
  ].join('\n');
}
