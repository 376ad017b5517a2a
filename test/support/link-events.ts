import type { PeerLinkEvents } from '../../src/bstar/io/peer-link.js';

/** A node that ignores what its peer link reports, except for `heard`. */
export function linkEvents(heard: Partial<PeerLinkEvents> = {}): PeerLinkEvents {
  return {
    connected: () => undefined,
    objectionTo: () => null,
    message: () => undefined,
    receiving: () => undefined,
    disconnected: () => undefined,
    refused: () => undefined,
    rejected: () => undefined,
    refusedByPeer: () => undefined,
    refusedAlive: () => undefined,
    ...heard,
  };
}
