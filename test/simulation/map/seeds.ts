import type { Tally } from '../actors/tally.js';
import { runSeeded } from '../world/replay.js';
import { MapOnlyWorld } from './world.js';

export function runMapSeed(seed: number, tally: Tally): void {
  const make = (isTraced: boolean): MapOnlyWorld => new MapOnlyWorld(seed, isTraced);
  runSeeded({ seed, make, options: '--map', scriptLines: 100 }, tally);
}
