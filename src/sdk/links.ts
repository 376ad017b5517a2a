import { messageOf } from '../core/errors.js';
import type { Link } from '../transport/port.js';
import { sdkError } from './errors.js';

/** Writes one message to a link. */
export function writeMessage(link: Link, frames: readonly Uint8Array[]): void {
  const last = frames.length - 1;
  for (let index = 0; index <= last; index++) {
    const frame = frames[index];
    if (frame !== undefined) link.write(frame, 0, frame.length, index < last);
  }
}

/** The error of a failed `Dial`, as one of the SDK's own. */
export function endpointError(endpoint: string, error: unknown): Error {
  return sdkError('ERR_MDP_ENDPOINT', `cannot connect to ${endpoint}: ${messageOf(error)}`, {
    cause: error,
    details: { endpoint },
  });
}
