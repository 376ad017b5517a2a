/** The six primitives of 26/CurveZMQ, behind which the library that has them can be exchanged. */

export const KEY_BYTES = 32;
export const NONCE_BYTES = 24;
/** What sealing adds. */
export const MAC_BYTES = 16;

export interface KeyPair {
  readonly publicKey: Buffer;
  readonly secretKey: Buffer;
}

/**
 * Curve25519, XSalsa20 and Poly1305, as NaCl's `box` and `secretbox` combine them. Sealing and
 * opening go through a room in the library's own memory, to and from which bytes are copied once.
 *
 * Who gives `seal` or `open` the same two buffers again as nonce and key has changed nothing in them
 * but the last eight bytes of the nonce: the others are then where they are needed already.
 */
export interface CurveCrypto {
  /** The library's memory; another buffer after a call of `room`. */
  readonly memory: Buffer;
  keyPair(): KeyPair;
  publicKeyOf(secretKey: Buffer): Buffer;
  /** What both sides' messages are sealed with. `null` for a public key of low order. */
  sharedKey(publicKey: Buffer, secretKey: Buffer): Buffer | null;
  /** Where in `memory` to put the `size` bytes that are then sealed. */
  room(size: number): number;
  /** Seals the `size` bytes in the room into `size + MAC_BYTES` bytes at `offset` of `target`. */
  seal(size: number, nonce: Buffer, key: Buffer, target: Buffer, offset: number): void;
  /**
   * Opens `[start, end)` of `sealed`.
   * @returns where in `memory` its `end - start - MAC_BYTES` bytes are, until the next call; -1 if
   * it was not sealed with this key and nonce
   */
  open(sealed: Buffer, start: number, end: number, nonce: Buffer, key: Buffer): number;
}

/** Forgets a secret, as far as JavaScript can. */
export function wipe(...secrets: readonly (Buffer | null)[]): void {
  for (const secret of secrets) secret?.fill(0);
}
