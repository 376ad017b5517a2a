/** Runs the world of one seed of brokers on a shared database. */
import type { Tally } from '../actors/tally.js';
import { runSeeded } from '../world/replay.js';
import { SharedWorld } from './world.js';

export function runSharedSeed(seed: number, tally: Tally): void {
  const make = (isTraced: boolean): SharedWorld => new SharedWorld(seed, isTraced);
  runSeeded({ seed, make, options: '--shared', scriptLines: 150 }, tally);
}
