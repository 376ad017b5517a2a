import type { PeerId } from './port.js';

/**
 * Gives out the numbers of peers. Transports that serve one broker share one, so that a number
 * names one peer whichever transport it came in through.
 */
export class PeerNumbers {
  readonly #free: PeerId[] = [];
  #next: PeerId = 0;

  /** The number that was given back last, or the next one that was never given. */
  take(): PeerId {
    return this.#free.pop() ?? this.#next++;
  }

  /** Gives a number back: only after `disconnected` was told. */
  release(peer: PeerId): void {
    this.#free.push(peer);
  }
}
