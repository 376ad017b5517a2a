/** What Freelance clients (10/FLP) send to a listener for one service. */
import type { Frames } from '../core/frames.js';
import { BARE } from './dialect.js';
import { PING } from './flp-client.js';
import type { Inbound } from './inbound.js';
import { setRequest } from './pirate.js';

/**
 * Reads `PING`, or a request `control frame, body+`. The control frame is opaque and is returned
 * with the reply (10/FLP §Message Formats); two frames are a request whatever the first one says.
 */
export function readFreelance(inbound: Inbound, frames: Frames, service: Buffer): void {
  if (frames.count > 1) {
    setRequest(inbound, BARE, frames, 1, 1, service);
  } else if (frames.view(0).equals(PING)) {
    inbound.kind = 'ping';
    inbound.dialect = BARE;
  } else {
    inbound.reject('client', 0, 'a message of one frame must be PING');
  }
}
