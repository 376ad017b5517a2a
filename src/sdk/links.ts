import { messageOf } from '../core/errors.js';
import { PackedCursor, readPacked } from '../core/packed.js';
import { shownUrl } from '../core/web-address.js';
import type { Link } from '../zmtp/link-port.js';
import { type BodyFrames, isFrame } from './body.js';
import { sdkError } from './errors.js';

const cursor = new PackedCursor();

/** Writes one message to a link. */
export function writeMessage(link: Link, frames: readonly Uint8Array[]): void {
  const last = frames.length - 1;
  for (let index = 0; index <= last; index++) {
    const frame = frames[index];
    if (frame !== undefined) link.write(frame, 0, frame.length, index < last);
  }
}

/** Writes the first frames of a message: packed, and each with MORE. A body must follow. */
export function writeHead(link: Link, packed: Buffer, start: number, end: number): void {
  if (link.writeHead !== undefined) {
    link.writeHead(packed, start, end);
    return;
  }
  for (let at = start; at < end; at = cursor.end) {
    readPacked(packed, at, cursor);
    link.write(packed, cursor.start, cursor.end, true);
  }
}

/** Writes the last frames of a message. */
export function writeBody(link: Link, body: BodyFrames): void {
  if (isFrame(body)) link.write(body, 0, body.length, false);
  else writeMessage(link, body);
}

/** The error of a failed `Dial`, as one of the SDK's own. */
export function endpointError(endpoint: string, error: unknown): Error {
  const shown = shownUrl(endpoint);
  return sdkError('ERR_MDP_ENDPOINT', `cannot connect to ${shown}: ${messageOf(error)}`, {
    cause: error,
    details: { endpoint: shown },
  });
}
