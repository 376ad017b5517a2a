import type { Tally } from '../actors/tally.js';
import { runSeeded } from '../world/replay.js';
import { FreelanceWorld } from './world.js';

export function runFreelanceSeed(seed: number, tally: Tally): void {
  const make = (isTraced: boolean): FreelanceWorld => new FreelanceWorld(seed, isTraced);
  runSeeded({ seed, make, options: '--freelance', scriptLines: 120 }, tally);
}
