/**
 * Hints between brokers as bytes: how many services (2 bytes, big-endian), of each its length (1 byte)
 * and its name, then the last 6 bytes of each uuid.
 *
 * Whoever reads a hint cannot ask for the requests in it: the rest of their uuids is random, too.
 */
import { PackReader, PackWriter } from '../core/value-bytes.js';
import { list, listToEnd, run, sized, struct } from '../core/shapes.js';
import type { Hint, RequestUuid } from './store.js';

/** So many of the last bytes of a uuid are sent. */
export const UUID_TAIL_BYTES = 6;
/** Most bytes of a hint: as Base64 it fits in the payload of a NOTIFY, which has less than 8000 bytes. */
export const HINT_BYTES_MAX = 5800;

const HINT = struct<Hint>({
  services: list(sized(1), 2),
  ended: listToEnd(run(UUID_TAIL_BYTES)),
});

/** How many bytes a service takes. */
export function hintedBytes({ length }: Buffer): number {
  return 1 + length;
}

/** The part of a uuid that is sent. */
export function tailOf(uuid: RequestUuid): Buffer {
  return uuid.subarray(uuid.length - UUID_TAIL_BYTES);
}

export function packHint(hint: Hint): Buffer {
  const to = new PackWriter(HINT_BYTES_MAX);
  HINT.put(to, hint);
  return to.copy();
}

/** @returns `null`: it is no hint */
export function unpackHint(bytes: Buffer): Hint | null {
  const from = new PackReader(bytes);
  const hint = HINT.take(from);
  return from.isWhole ? hint : null;
}
