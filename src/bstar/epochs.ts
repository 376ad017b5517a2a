/**
 * Limits for epochs (D79). No real pair comes near them, so a peer that claims a higher one is
 * faulty or not the peer. If this node believed it, it would have to take a still higher one, up to
 * numbers that cannot be stored.
 */
import type { Role } from './facts.js';

/** Every epoch is below this. Ranked records have it in 24 bits (D48). */
export const EPOCH_END: number = 2 ** 24;
/** How far a peer's epoch may be above the highest that this node knows. */
const JUMP_MAX = 2 ** 12;

/** The next epoch of this node: the primary takes even ones, the backup odd ones (D13). */
export function nextEpochOf(seenEpoch: number, role: Role): number {
  const parity = role === 'primary' ? 0 : 1;
  return seenEpoch + (seenEpoch % 2 === parity ? 2 : 1);
}

/**
 * @param known the highest epoch that this node has heard of
 * @param isSealed the peer has proved its identity by its key: a node with a new disk believes its
 * epoch
 */
export function epochObjection(
  claimed: number,
  known: number,
  isSealed: boolean,
): { readonly code: 'epoch'; readonly text: string } | null {
  if (claimed >= EPOCH_END) {
    const text = `it claims the epoch ${claimed}, but epochs are below ${EPOCH_END}`;
    return { code: 'epoch', text };
  }
  if (claimed <= known + JUMP_MAX || (known === 0 && isSealed)) return null;
  const text =
    `it claims the epoch ${claimed}, but this node knows of none above ${known}, and the epochs of two ` +
    `connected nodes never differ by more than ${JUMP_MAX}. If it is the right peer and ` +
    'the data directory of one node is new, configure keys for the link (majordomo keygen --pair)';
  return { code: 'epoch', text };
}
