/**
 * Boxes of the handshake, in buffers of their own. (A box of two keys is a secret box with their
 * shared key.)
 */
import { type CurveCrypto, MAC_BYTES, wipe } from './crypto.js';

export function sealBox(crypto: CurveCrypto, plain: Buffer, nonce: Buffer, key: Buffer): Buffer {
  const sealed = Buffer.allocUnsafeSlow(plain.length + MAC_BYTES);
  const room = crypto.room(plain.length);
  plain.copy(crypto.memory, room);
  const frameKey = crypto.frameKey(key, nonce);
  crypto.seal(plain.length, nonce, frameKey, sealed, 0);
  wipe(frameKey);
  return sealed;
}

/** The plain text, or `null` if it was not sealed with this key and nonce. */
export function openBox(
  crypto: CurveCrypto,
  sealed: Buffer,
  nonce: Buffer,
  key: Buffer,
): Buffer | null {
  const frameKey = crypto.frameKey(key, nonce);
  const at = crypto.open(sealed, 0, sealed.length, nonce, frameKey);
  wipe(frameKey);
  return at < 0 ? null : Buffer.from(crypto.memory.subarray(at, at + sealed.length - MAC_BYTES));
}
