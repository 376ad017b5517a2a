import type { Tally } from '../actors/tally.js';
import { runSeeded } from '../world/replay.js';
import { SessionsWorld } from './world.js';

export function runSessionsSeed(seed: number, tally: Tally): void {
  const make = (isTraced: boolean): SessionsWorld => new SessionsWorld(seed, isTraced);
  runSeeded({ seed, make, options: '--sessions', scriptLines: 150 }, tally);
}
