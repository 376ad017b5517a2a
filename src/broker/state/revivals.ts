import { Chain, ChainLink } from '../../core/chain.js';
import type { Peer } from './entities.js';

/**
 * REQ sockets on listeners for the workers of one service that have said nothing since they
 * connected. After an interval they are taken for workers that wait (D36).
 */
export class Revivals {
  readonly #afterMs: number;
  /** The wait is the same for all, so they are in the order in which they are due. */
  readonly #due = new Chain<Peer>();

  constructor(afterMs: number) {
    this.#afterMs = afterMs;
  }

  connected(peer: Peer, now: number): void {
    peer.revivesAt = now + this.#afterMs;
    peer.revival = new ChainLink(peer);
    this.#due.append(peer.revival);
  }

  /** Forgets a peer that said something, or is gone. */
  forget(peer: Peer): void {
    peer.revival?.leave();
    peer.revival = null;
  }

  /** Removes and returns the next one that is due, or `null`. */
  takeDue(now: number): Peer | null {
    const peer = this.#due.head?.owner ?? null;
    if (peer === null || peer.revivesAt > now) return null;
    this.forget(peer);
    return peer;
  }

  /** When the next one is due; Infinity for never. */
  nextDueAt(): number {
    return this.#due.head?.owner.revivesAt ?? Infinity;
  }
}
