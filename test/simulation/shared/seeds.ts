/** Runs the world of one seed of brokers on a shared database. */
import type { Tally } from '../actors/tally.js';
import { runSeededLater } from '../world/replay.js';
import { SharedWorld } from './world.js';

export async function runSharedSeed(seed: number, tally: Tally): Promise<void> {
  const make = (isTraced: boolean): SharedWorld => new SharedWorld(seed, isTraced);
  await runSeededLater({ seed, make, options: '--shared', scriptLines: 150 }, tally);
}
