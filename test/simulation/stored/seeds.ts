import type { Tally } from '../actors/tally.js';
import { runSeeded } from '../world/replay.js';
import { StoredWorld } from './world.js';

export function runStoredSeed(seed: number, tally: Tally): void {
  const make = (isTraced: boolean): StoredWorld => new StoredWorld(seed, isTraced);
  runSeeded({ seed, make, options: '--stored', scriptLines: 80 }, tally);
}
