/** The only frame of a request's envelope, by which the client recognises replies. */
import { putInt32 } from '../../core/bytes.js';
import { CLIENT_02 } from '../../wire/mdp.js';

/** The correlation frame: the number of the request, then that of its send modulo 256. */
export const CORRELATION_BYTES = 5;
export const ATTEMPT_MODULUS = 256;
const ID_BYTES = 4;
/** Where the frame's bytes are in a packed head, after its flags and size. */
export const HEAD_CORRELATION_AT = 2;
/** Where the command is in the head of a request of 0.2: behind the correlation, the delimiter and the protocol's name. */
export const HEAD_COMMAND_AT =
  HEAD_CORRELATION_AT + CORRELATION_BYTES + 2 + (2 + CLIENT_02.length) + 2;
/** The number of this client's own question to the broker. */
export const PROBE_ID = 0;

/** The one frame of the envelope that requests go out with, and come back with. */
export function correlation(id: number, attempt: number): Buffer {
  const frame = Buffer.allocUnsafe(CORRELATION_BYTES);
  putCorrelation(frame, 0, id, attempt);
  return frame;
}

export function putCorrelation(bytes: Buffer, at: number, id: number, attempt: number): void {
  putInt32(bytes, at, id);
  bytes[at + ID_BYTES] = attempt % ATTEMPT_MODULUS;
}
