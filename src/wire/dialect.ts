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

/** MDP 0.2 after an empty frame, which some libraries' workers send and expect (D101). */
export const DELIMITED_02 = 5;

/** The forms with MDP headers. */
export type MdpDialect = MdpVersion | typeof DELIMITED_02;

/** The forms without MDP headers. */
export type ServiceDialect = typeof DELIMITED | typeof BARE;

/**
 * The form of a peer's messages: MDP 0.1, MDP 0.2 or, on a listener for one service, one of the
 * forms without MDP headers.
 */
export type Dialect = MdpDialect | ServiceDialect;

/** Whether messages of this form have MDP headers. */
export function isMdp(dialect: Dialect): dialect is MdpDialect {
  return dialect <= 2 || dialect === DELIMITED_02;
}
