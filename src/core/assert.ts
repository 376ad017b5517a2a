import { MajordomoError } from './errors.js';

/**
 * Asserts what must hold whatever a peer, the disk or the network does. A failure is a bug in this
 * program: the node logs it with its stack and exits with status 70.
 */
export function assert(holds: boolean, what: string): asserts holds {
  if (!holds) throw new MajordomoError('ERR_INTERNAL', `assertion failed: ${what}`);
}

/** Returns the value, which cannot be absent here. */
export function present<T>(value: T | null | undefined, what: string): T {
  assert(value !== null && value !== undefined, what);
  return value;
}
