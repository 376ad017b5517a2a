import type { Tally } from '../actors/tally.js';
import { runSeeded } from '../world/replay.js';
import { calmed, mapped, type PairSabotage, parted } from './weather.js';
import { PairWorld } from './world.js';

/** The kind of worlds. */
export interface PairKind {
  /** The nodes have no faults: neither may take over. */
  readonly isCalm?: boolean;
  /** All of them have a map; otherwise some do. */
  readonly hasMap?: boolean;
  /** All of them have a map; nobody dies, but links are cut, and writers of the map stand still. */
  readonly isParted?: boolean;
}

export function runPairSeed(
  seed: number,
  tally: Tally,
  { isCalm = false, hasMap = false, isParted = false }: PairKind = {},
): void {
  const changes: PairSabotage = {
    weather: (weather) => {
      if (isParted) return parted(weather);
      const made = hasMap ? mapped(weather) : weather;
      return isCalm ? calmed(made) : made;
    },
  };
  const options = `--pair${isCalm ? ' --calm' : ''}${hasMap ? ' --map' : ''}${isParted ? ' --parted' : ''}`;
  const make = (isTraced: boolean): PairWorld => new PairWorld(seed, isTraced, changes);
  const about = ({ weather }: PairWorld): string => `replication: ${weather.replication}`;
  runSeeded({ seed, make, options, scriptLines: 120, about }, tally);
}
