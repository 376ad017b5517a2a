import { codeOf, MajordomoError, messageOf } from '../../../src/core/errors.js';

/** An invariant does not hold. */
export function violated(what: string): never {
  throw new MajordomoError('ERR_SIMULATION', what);
}

export function hold(holds: boolean, what: string): asserts holds {
  if (!holds) violated(what);
}

/** What was found; of another error its location. */
export function stackOf(error: unknown): string {
  const text = messageOf(error);
  const isFound = codeOf(error) === 'ERR_SIMULATION';
  if (isFound || typeof error !== 'object' || error === null || !('stack' in error)) return text;
  return String(error.stack);
}
