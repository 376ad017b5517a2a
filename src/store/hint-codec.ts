/**
 * Hints between brokers as bytes: how many services (2 bytes, big-endian), of each its length (1 byte)
 * and its name, then the last 6 bytes of each uuid.
 *
 * Whoever reads a hint cannot ask for the requests in it: the rest of their uuids is random, too.
 */
import type { Hint, RequestUuid } from './store.js';

/** So many of the last bytes of a uuid are sent. */
export const UUID_TAIL_BYTES = 6;
/** As Base64 it fits in the payload of a NOTIFY, which has less than 8000 bytes. */
export const HINT_BYTES_MAX = 5800;

const COUNT_BYTES = 2;

/** How many bytes a service takes. */
export function hintedBytes({ length }: Buffer): number {
  return 1 + length;
}

/** The part of a uuid that is sent. */
export function tailOf(uuid: RequestUuid): Buffer {
  return uuid.subarray(uuid.length - UUID_TAIL_BYTES);
}

export function packHint({ services, ended }: Hint): Buffer {
  const count = Buffer.alloc(COUNT_BYTES);
  count.writeUInt16BE(services.length);
  return Buffer.concat([
    count,
    ...services.flatMap((service) => [Buffer.of(service.length), service]),
    ...ended,
  ]);
}

/** @returns `null`: it is no hint */
export function unpackHint(bytes: Buffer): Hint | null {
  if (bytes.length < COUNT_BYTES) return null;
  const services: Buffer[] = [];
  let at = COUNT_BYTES;
  for (let left = bytes.readUInt16BE(); left > 0; left--) {
    const end = at + 1 + (bytes[at] ?? 0);
    if (at >= bytes.length || end > bytes.length) return null;
    services.push(bytes.subarray(at + 1, end));
    at = end;
  }
  if ((bytes.length - at) % UUID_TAIL_BYTES !== 0) return null;
  const ended: Buffer[] = [];
  for (; at < bytes.length; at += UUID_TAIL_BYTES) {
    ended.push(bytes.subarray(at, at + UUID_TAIL_BYTES));
  }
  return { services, ended };
}
