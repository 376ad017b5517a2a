/** The primitives of 26/CurveZMQ, as an interface that makes the library replaceable. */

export const KEY_BYTES = 32;
export const NONCE_BYTES = 24;
/** Bytes that sealing adds. */
export const MAC_BYTES = 16;

export interface KeyPair {
  readonly publicKey: Buffer;
  readonly secretKey: Buffer;
}

/**
 * Curve25519, XSalsa20 and Poly1305, as NaCl's `box` and `secretbox` combine them. Sealing and
 * opening use a room in the library's own memory; bytes are copied into and out of it once.
 *
 * A frame key is of a shared key and the first 16 bytes of a nonce, and sealing and opening take it
 * with any nonce that begins like that. Nobody may change the bytes of a frame key that is in use.
 */
export interface CurveCrypto {
  /** The library's memory; after a call of `room` it may be a different buffer. */
  readonly memory: Buffer;
  keyPair(): KeyPair;
  publicKeyOf(secretKey: Buffer): Buffer;
  /** The key for the messages of both sides. `null` for a public key of low order. */
  sharedKey(publicKey: Buffer, secretKey: Buffer): Buffer | null;
  /** The key for frames whose nonces have the same first 16 bytes as this one. */
  frameKey(sharedKey: Buffer, nonce: Buffer): Buffer;
  /** Returns where in `memory` to put the `size` bytes before `seal`. */
  room(size: number): number;
  /** Seals the `size` bytes in the room into `size + MAC_BYTES` bytes at `offset` of `target`. */
  seal(size: number, nonce: Buffer, frameKey: Buffer, target: Buffer, offset: number): void;
  /**
   * Opens `[start, end)` of `sealed`.
   * @returns where in `memory` its `end - start - MAC_BYTES` bytes are, until the next call; -1 if
   *   it was not sealed with this key and nonce
   */
  open(sealed: Buffer, start: number, end: number, nonce: Buffer, frameKey: Buffer): number;
  /** Begins to verify sealed bytes that are not kept: at `start` are their MAC and the first of them. */
  verify(sealed: Buffer, start: number, nonce: Buffer, frameKey: Buffer): Verification;
}

/** Verifies sealed bytes that arrive piece by piece. */
export interface Verification {
  /** The first byte of the plain text; it means nothing unless the whole is genuine. */
  readonly first: number;
  /** The next sealed bytes, after the first one. */
  add(bytes: Buffer, start: number, end: number): void;
  /** Whether all that was added was sealed with this key and nonce. Called once. */
  isGenuine(): boolean;
}

/** Overwrites secrets, as far as JavaScript allows. */
export function wipe(...secrets: readonly (Buffer | null)[]): void {
  for (const secret of secrets) secret?.fill(0);
}
