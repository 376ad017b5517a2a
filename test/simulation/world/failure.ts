import { MajordomoError } from '../../../src/core/errors.js';

/** An invariant does not hold. */
export function violated(what: string): never {
  throw new MajordomoError('ERR_SIMULATION', what);
}

export function hold(holds: boolean, what: string): asserts holds {
  if (!holds) violated(what);
}
