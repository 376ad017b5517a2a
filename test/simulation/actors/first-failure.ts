import { codeOf, messageOf } from '../../../src/core/errors.js';

const SEEDS_MAX = 200;

/**
 * Looks for a seed whose world shows what was broken on purpose.
 * @param likely tried first; given where the first few seeds do not show it
 * @param also a code of errors that show it, beside those of the simulation itself
 * @returns the first failure that was found
 */
export function firstFailure(run: (seed: number) => void, likely = 1, also?: string): string {
  for (const seed of seedsFrom(likely)) {
    try {
      run(seed);
    } catch (error) {
      return shown(error, also);
    }
  }
  return 'nothing';
}

/** Like `firstFailure`, for worlds in which promises go on. */
export async function firstFailureLater(
  run: (seed: number) => Promise<void>,
  likely = 1,
): Promise<string> {
  for (const seed of seedsFrom(likely)) {
    try {
      await run(seed);
    } catch (error) {
      return shown(error);
    }
  }
  return 'nothing';
}

function* seedsFrom(likely: number): Generator<number> {
  yield likely;
  for (let seed = 1; seed <= SEEDS_MAX; seed++) if (seed !== likely) yield seed;
}

function shown(error: unknown, also?: string): string {
  const code = codeOf(error);
  if (code !== 'ERR_SIMULATION' && code !== also) throw error;
  return messageOf(error);
}
