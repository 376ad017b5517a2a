/** Runs seeds, and reports what is needed to understand one that fails. */
import { MajordomoError } from '../../../src/core/errors.js';
import type { Tally } from '../actors/tally.js';
import { stackOf } from './failure.js';
import { type Cut, WHOLE, World } from './world.js';

const SCRIPT_LINES = 60;

/** @returns what went wrong, or `null` */
function attempt(world: World): string | null {
  try {
    world.run();
    return null;
  } catch (error) {
    return stackOf(error);
  }
}

/** Runs one seed. Throws what `explain` says if an invariant does not hold. */
export function runSeed(seed: number, tally: Tally, cut: Cut = WHOLE): void {
  const world = new World(seed, cut, false);
  const wrong = attempt(world);
  if (wrong !== null) throw new MajordomoError('ERR_SIMULATION', explain(seed, cut, wrong));
  tally.add(world.tally);
}

/** The seed, how to replay it, and the script of the smallest cast that fails. */
function explain(seed: number, cut: Cut, wrong: string): string {
  const smallest = shrink(seed, cut);
  const world = new World(seed, smallest, true);
  const last = attempt(world) ?? wrong;
  const without = [...smallest.without].join(',');
  const option = without === '' ? '' : ` --without ${without}`;
  return [
    `seed ${seed}: ${wrong}`,
    `replay: npm run simulate -- --seeds 1 --from ${seed}${option}`,
    `the end of its script (of ${world.people} actors ${world.people - smallest.without.size}):`,
    ...world.trace.last(SCRIPT_LINES),
    last,
  ].join('\n');
}

/** Leaves out every actor without which it still fails. */
function shrink(seed: number, cut: Cut): Cut {
  let without = new Set(cut.without);
  const { people } = new World(seed, cut, false);
  for (let index = 0; index < people; index++) {
    const fewer = new Set(without).add(index);
    if (attempt(new World(seed, { without: fewer }, false)) !== null) without = fewer;
  }
  return { without };
}
