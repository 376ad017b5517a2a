/**
 * The keys in files of CURVE keys, as `majordomo keygen` writes them, the key alone, or in a certificate of
 * CZMQ (zcert), which other ZeroMQ libraries write, too. The public key of a secret one.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto';

import { CURVE_KEY_BYTES, decodeCurveKey } from './z85.js';

/** What precedes the bytes of a secret X25519 key in PKCS #8 (RFC 8410); SPKI ends with those of the public one. */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

/**
 * The section of a certificate that has the keys: the lines below, up to one that is not indented. Its
 * own line may have a value (4/ZPL).
 */
const SECTION = /^curve[ \t\r]*(?:[=#][^\n]*)?((?:\n(?:[ \t\r#][^\n]*)?)+)/m;
/** The lines of the keys in that section. */
const IN_SECTION = {
  public: /^[ \t]+public-key[ \t]*=[ \t]*(["']?)(\S{40})\1[ \t\r]*(?:#.*)?$/m,
  secret: /^[ \t]+secret-key[ \t]*=[ \t]*(["']?)(\S{40})\1[ \t\r]*(?:#.*)?$/m,
};

/** The key in the text of such a file; `null`: it has none. */
export function curveKeyIn(text: string, kind: 'public' | 'secret'): Buffer | null {
  const section = SECTION.exec(text)?.[1] ?? '';
  return decodeCurveKey(IN_SECTION[kind].exec(section)?.[2] ?? text.trim());
}

/** The public key that belongs to a secret one. */
export function curvePublicKeyOf(secretKey: Uint8Array): Buffer {
  const key = Buffer.concat([PKCS8, secretKey]);
  const pair = createPrivateKey({ key, format: 'der', type: 'pkcs8' });
  return createPublicKey(pair).export({ format: 'der', type: 'spki' }).subarray(-CURVE_KEY_BYTES);
}
