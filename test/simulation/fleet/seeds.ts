/** Runs simulated fleets; reports a failing one by its seed. */
import { MajordomoError } from '../../../src/core/errors.js';
import type { Tally } from '../actors/tally.js';
import { stackOf } from '../world/failure.js';
import { SimFleet } from './world.js';

export function runFleetSeed(seed: number, tally: Tally): void {
  const fleet = new SimFleet(seed);
  try {
    fleet.run();
  } catch (error) {
    const replay = `npm run simulate -- --fleet --seeds 1 --from ${seed}`;
    const text = `seed ${seed}: ${stackOf(error)}\nreplay: ${replay}`;
    throw new MajordomoError('ERR_SIMULATION', text);
  }
  tally.add(fleet.tally);
}
