import type { MdpVersion } from './mdp.js';

/**
 * The form of messages without a delimiter and without MDP headers (a DEALER or ROUTER): a Paranoid
 * Pirate worker (6/PPP), or a Freelance client (10/FLP).
 */
export const BARE = 4;
/**
 * The form of messages with the empty delimiter of a REQ socket and nothing more: a Simple Pirate
 * worker, or a plain client.
 */
export const DELIMITED = 3;

/** The forms without MDP headers. */
export type ServiceDialect = typeof DELIMITED | typeof BARE;

/**
 * The form of a peer's messages: MDP 0.1, MDP 0.2 or, on a listener for one service, one of the
 * forms without MDP headers.
 */
export type Dialect = MdpVersion | ServiceDialect;

/** Whether messages of this form have MDP headers. */
export function isMdp(dialect: Dialect): dialect is MdpVersion {
  return dialect <= 2;
}
