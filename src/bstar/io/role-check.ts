/**
 * Two nodes configured as primary would never meet: each listens, none dials. So a primary checks
 * whether another primary answers at its backup's address: at its start, before it serves clients,
 * and again for as long as it has no peer.
 */
import { MajordomoError } from '../../core/errors.js';
import type { CurveClientKeys } from '../../zmtp/link.js';
import { dialPeer } from './peer-dialler.js';
import type { PeerLink, PeerLinkOptions } from './peer-link.js';

/** How long the start waits for an answer; a node on the same network needs less. */
const START_MS = 500;
/** A wrong configuration is reported again, but not at every heartbeat. */
const AGAIN_MS = 30_000;

/**
 * @param met resolves once the backup has connected: then there is no need to wait
 * @returns the link, which looks for another primary until it is closed
 * @throws ERR_BSTAR_ROLE if one answers now
 */
export async function linkUnlessPrimary(
  link: PeerLink,
  endpoint: string,
  curve: CurveClientKeys | undefined,
  options: PeerLinkOptions,
  met: Promise<void>,
): Promise<PeerLink> {
  let started: ((why: string | null) => void) | null = null;
  const answer = new Promise<string | null>((resolve) => {
    started = resolve;
  });
  const seeker = dialPeer(endpoint, curve, {
    ...options,
    events: {
      connected: () => {
        // A node there that accepts a primary as its peer is not this node's backup.
        seeker.disconnect();
      },
      objectionTo: () => null,
      message: () => undefined,
      receiving: () => undefined,
      disconnected: () => undefined,
      refused: () => undefined,
      rejected: () => undefined,
      refusedByPeer: (reason) => {
        seeker.holdOff(AGAIN_MS);
        if (started === null) options.events.refusedByPeer(reason);
        else started(reason);
      },
      refusedAlive: (sign) => {
        options.events.refusedAlive({ ...sign, againMs: Math.max(sign.againMs, AGAIN_MS) });
      },
    },
  });
  const timer = setTimeout(() => started?.(null), START_MS);
  void met.then(() => started?.(null));
  const why = await answer;
  started = null;
  clearTimeout(timer);
  if (why !== null) {
    await Promise.all([seeker.close(), link.close()]);
    throw new MajordomoError('ERR_BSTAR_ROLE', `bstar.peer ${endpoint} answers: ${why}`);
  }
  return {
    send: (message) => link.send(message),
    flush: () => link.flush(),
    disconnect: () => link.disconnect(),
    holdOff: (ms) => link.holdOff(ms),
    revoke: (key) => link.revoke(key),
    close: async () => {
      await Promise.all([seeker.close(), link.close()]);
    },
  };
}
