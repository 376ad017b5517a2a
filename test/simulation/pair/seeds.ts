/** Runs worlds of a pair; reports a failing one by its seed and the end of its script. */
import { MajordomoError } from '../../../src/core/errors.js';
import type { Tally } from '../actors/tally.js';
import type { PairSabotage } from './node.js';
import { stackOf } from '../world/failure.js';
import { calmed, mapped } from './weather.js';
import { PairWorld } from './world.js';

const SCRIPT_LINES = 120;

/** The kind of worlds. */
export interface PairKind {
  /** The nodes have no faults: neither may take over. */
  readonly isCalm?: boolean;
  /** All of them have a map; otherwise some do. */
  readonly hasMap?: boolean;
}

export function runPairSeed(
  seed: number,
  tally: Tally,
  { isCalm = false, hasMap = false }: PairKind = {},
): void {
  const changes: PairSabotage = {
    weather: (weather) => {
      const made = hasMap ? mapped(weather) : weather;
      return isCalm ? calmed(made) : made;
    },
  };
  const flags = `${isCalm ? ' --calm' : ''}${hasMap ? ' --map' : ''}`;
  const world = new PairWorld(seed, false, changes);
  try {
    world.run();
  } catch (error) {
    throw new MajordomoError('ERR_SIMULATION', explain(seed, error, changes, flags));
  }
  tally.add(world.tally);
}

function explain(seed: number, error: unknown, changes: PairSabotage, flags: string): string {
  const world = new PairWorld(seed, true, changes);
  try {
    world.run();
  } catch {
    // The same run again, to record its script.
  }
  return [
    `seed ${seed}: ${stackOf(error)}`,
    `replication: ${world.weather.replication}`,
    `replay: npm run simulate -- --pair${flags} --seeds 1 --from ${seed}`,
    'the end of its script:',
    ...world.trace.last(SCRIPT_LINES),
  ].join('\n');
}
