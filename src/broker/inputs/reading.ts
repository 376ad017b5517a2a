/** Reads a message in the form that its sender speaks. */
import { present } from '../../core/assert.js';
import type { Frames } from '../../core/frames.js';
import { BARE } from '../../wire/dialect.js';
import { readFreelance } from '../../wire/flp.js';
import type { Inbound } from '../../wire/inbound.js';
import { pirateDialect, readPirateWorker, readPlainRequest } from '../../wire/pirate.js';
import type { Peer } from '../state/entities.js';

/** The service of the listener for one service that the peer connected to. */
export function serviceOf({ grants }: Peer): Buffer {
  return present(grants.rules.service, 'its listener is for one service');
}

/**
 * Reads what was kept of a message that was skipped.
 * @returns false if it cannot be read: it is a worker's first message, whose form is not known yet, and
 *   a frame that was left out looks like the empty one that tells it
 */
export function readHead(inbound: Inbound, peer: Peer, head: Frames): boolean {
  if (peer.grants.rules.service !== null && peer.dialect === null) return false;
  readMessage(inbound, peer, head);
  return true;
}

/** @returns true for the first message of a worker on a listener for one service */
export function readMessage(inbound: Inbound, peer: Peer, frames: Frames): boolean {
  const { rules } = peer.grants;
  const { service } = rules;
  if (service === null) {
    inbound.read(frames);
    return false;
  }
  inbound.begin(frames);
  if (frames.isProbe) {
    inbound.kind = 'probe';
    return false;
  }
  const isFirst = peer.dialect === null;
  peer.dialect ??= pirateDialect(frames);
  if (rules.client.isNone) readPirateWorker(inbound, peer.dialect, frames, service);
  else if (peer.dialect === BARE) readFreelance(inbound, frames, service);
  else readPlainRequest(inbound, frames, service);
  return isFirst;
}
