import type { PeerId } from './port.js';

/**
 * Assigns peer numbers. All transports of one broker share one instance, so that a number
 * identifies one peer, whichever transport it came in through.
 */
export class PeerNumbers {
  readonly #free: PeerId[] = [];
  #next: PeerId = 0;

  /** Returns the number released last, or the next unused one. */
  take(): PeerId {
    return this.#free.pop() ?? this.#next++;
  }

  /** Releases a number: only after `disconnected` was reported. */
  release(peer: PeerId): void {
    this.#free.push(peer);
  }
}
