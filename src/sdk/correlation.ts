/** The only frame of a request's envelope, by which the client recognises replies. */

/** The correlation frame: the number of the request, then that of its send modulo 256. */
export const CORRELATION_BYTES = 5;
export const ATTEMPT_MODULUS = 256;
export const ID_MAX = 0xffff_ffff;
/** The number of this client's own question to the broker. */
export const PROBE_ID = 0;

/** The one frame of the envelope that requests go out with, and come back with. */
export function correlation(id: number, attempt: number): Buffer {
  const frame = Buffer.allocUnsafe(CORRELATION_BYTES);
  frame.writeUInt32BE(id, 0);
  frame[4] = attempt % ATTEMPT_MODULUS;
  return frame;
}
