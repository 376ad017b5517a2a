/**
 * Who may ask for a stored request and close it, in terms of the askers that the broker knows (D70,
 * D71).
 */
import type { Asker } from '../../../broker/ports.js';
import {
  ANONYMOUS,
  ANY_OWNER,
  type Closer,
  isOpenTo,
  type Owner,
  type Ownership,
} from '../../../store/store.js';

/** The owner of what a peer stores. */
export function ownerOf(asker: Asker): Owner {
  return asker.owner === null ? ANONYMOUS : `key:${asker.owner}`;
}

/** The owner as whom a peer closes a uuid. An operator closes it whoever owns it. */
export function closerOf(asker: Asker): Closer {
  return asker.isOperator ? ANY_OWNER : ownerOf(asker);
}

export function mayAccess(asker: Asker, whose: Ownership): boolean {
  return isOpenTo(closerOf(asker), whose);
}

/**
 * Whether tombstones prove that there is nothing for this asker. Others may have closed a uuid that
 * is unknown here; a request of the same uuid on the other node then stays if it is not theirs.
 */
export function isCertainFor(asker: Asker, closers: readonly Closer[]): boolean {
  const owner = ownerOf(asker);
  return owner === ANONYMOUS || closers.includes(ANY_OWNER) || closers.includes(owner);
}
