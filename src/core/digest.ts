/** Digests, for machines: a machine has no `node:crypto`, whose randomness no seed replays. */
import { createHash } from 'node:crypto';

/** Bytes of a SHA-256 that are enough to tell apart what nobody makes alike on purpose. */
const DIGEST_BYTES = 16;

/** The digest of these parts, one after the other. Nothing marks where one ends. */
export function digestOf(parts: Iterable<Uint8Array | string>): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest().subarray(0, DIGEST_BYTES);
}
