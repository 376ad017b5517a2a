/** Runs the world of a seed; one that fails is reported by its seed and the end of its script. */
import { MajordomoError } from '../../../src/core/errors.js';
import type { Tally } from '../actors/tally.js';
import { stackOf } from './failure.js';
import type { Trace } from './trace.js';

export interface SeededWorld {
  readonly tally: Tally;
  readonly trace: Trace;
  /** Whatever it returns is awaited, if it is a promise. */
  run(): unknown;
}

export interface SeedRun<World extends SeededWorld> {
  readonly seed: number;
  readonly make: (isTraced: boolean) => World;
  /** Options of `npm run simulate` for this kind of worlds. */
  readonly options: string;
  /** How much of a failing world's script is shown. */
  readonly scriptLines: number;
  /** What else to tell of a failing world. */
  readonly about?: (world: World) => string;
}

/** @throws ERR_SIMULATION */
export function runSeeded<World extends SeededWorld>(run: SeedRun<World>, tally: Tally): void {
  const world = run.make(false);
  try {
    world.run();
  } catch (error) {
    const traced = run.make(true);
    try {
      traced.run();
    } catch {
      // The same run again, to record its script.
    }
    throw explained(run, error, traced);
  }
  tally.add(world.tally);
}

/** Like `runSeeded`, for a world in which promises go on. */
export async function runSeededLater<World extends SeededWorld>(
  run: SeedRun<World>,
  tally: Tally,
): Promise<void> {
  const world = run.make(false);
  try {
    await world.run();
  } catch (error) {
    const traced = run.make(true);
    await Promise.resolve(traced.run()).catch(() => undefined);
    throw explained(run, error, traced);
  }
  tally.add(world.tally);
}

function explained<World extends SeededWorld>(
  { seed, options, scriptLines, about }: SeedRun<World>,
  error: unknown,
  world: World,
): MajordomoError {
  const lines = [
    `seed ${seed}: ${stackOf(error)}`,
    ...(about === undefined ? [] : [about(world)]),
    `replay: npm run simulate -- ${options} --seeds 1 --from ${seed}`,
    'the end of its script:',
    ...world.trace.last(scriptLines),
  ];
  return new MajordomoError('ERR_SIMULATION', lines.join('\n'));
}
