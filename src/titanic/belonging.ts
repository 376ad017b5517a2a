/** Who may ask for a stored request, and close it, as the broker knows those who ask (D70, D71). */
import type { Asker } from '../broker/ports.js';
import { ANONYMOUS, isOpenTo, NO_OWNER, type Owner, type Whose } from './store.js';

/** To whom belongs what somebody stores. */
export function ownerOf(asker: Asker): Owner {
  return asker.owner === null ? ANONYMOUS : `key:${asker.owner}`;
}

/** As whom somebody closes a uuid: an operator closes whatever it is of. */
export function closerOf(asker: Asker): Owner {
  return asker.isOperator ? NO_OWNER : ownerOf(asker);
}

export function mayAsk(asker: Asker, whose: Whose): boolean {
  if (asker.isOperator || isOpenTo(ownerOf(asker), whose)) return true;
  // D70: what was stored before owners were kept is for those who may ask its service.
  return whose.owner === NO_OWNER && asker.mayRequest(whose.service);
}

/**
 * Whether tombstones say for certain that there is nothing for somebody: others may have closed a
 * uuid that is unknown here, and what the other node has under it stays if it is not theirs.
 */
export function isCertainFor(asker: Asker, closers: readonly Owner[]): boolean {
  const owner = ownerOf(asker);
  return owner === ANONYMOUS || closers.includes(NO_OWNER) || closers.includes(owner);
}
