/** The commands of 25/ZMTP-CURVE and 26/CurveZMQ: offsets, sizes and nonces. */
import { KEY_BYTES, MAC_BYTES, NONCE_BYTES } from './crypto.js';

/** Short nonces are counters of eight bytes after a prefix, long ones 16 random bytes. */
export const SHORT_NONCE_BYTES = 8;
export const LONG_NONCE_BYTES = 16;

export const HELLO_NAME: Buffer = Buffer.from('\x05HELLO', 'latin1');
export const WELCOME_NAME: Buffer = Buffer.from('\x07WELCOME', 'latin1');
export const INITIATE_NAME: Buffer = Buffer.from('\x08INITIATE', 'latin1');
export const READY_NAME: Buffer = Buffer.from('\x05READY', 'latin1');
export const ERROR_NAME: Buffer = Buffer.from('\x05ERROR', 'latin1');
export const MESSAGE_NAME: Buffer = Buffer.from('\x07MESSAGE', 'latin1');

const HELLO_SIGNED_BYTES = 64;
const VERSION_BYTES = 2;
/** (The RFC's prose says 70; its grammar and all implementations have 72.) */
const HELLO_PADDING_BYTES = 72;

export const HELLO_VERSION_AT: number = HELLO_NAME.length;
export const HELLO_KEY_AT: number = HELLO_VERSION_AT + VERSION_BYTES + HELLO_PADDING_BYTES;
export const HELLO_NONCE_AT: number = HELLO_KEY_AT + KEY_BYTES;
export const HELLO_BOX_AT: number = HELLO_NONCE_AT + SHORT_NONCE_BYTES;
export const HELLO_BYTES: number = HELLO_BOX_AT + HELLO_SIGNED_BYTES + MAC_BYTES;
export const HELLO_SIGNED: Buffer = Buffer.alloc(HELLO_SIGNED_BYTES);

/** Nonce, then the client's and the server's short-term key in a secret box. */
export const COOKIE_BYTES: number = LONG_NONCE_BYTES + 2 * KEY_BYTES + MAC_BYTES;

export const WELCOME_NONCE_AT: number = WELCOME_NAME.length;
export const WELCOME_BOX_AT: number = WELCOME_NONCE_AT + LONG_NONCE_BYTES;
export const WELCOME_BYTES: number = WELCOME_BOX_AT + KEY_BYTES + COOKIE_BYTES + MAC_BYTES;

export const INITIATE_COOKIE_AT: number = INITIATE_NAME.length;
export const INITIATE_NONCE_AT: number = INITIATE_COOKIE_AT + COOKIE_BYTES;
export const INITIATE_BOX_AT: number = INITIATE_NONCE_AT + SHORT_NONCE_BYTES;
/** Nonce, then the client's short-term and the server's long-term key in a box. */
export const VOUCH_BYTES: number = LONG_NONCE_BYTES + 2 * KEY_BYTES + MAC_BYTES;
/** The part of an INITIATE's box before the metadata. */
export const INITIATE_PLAIN_BYTES_MIN: number = KEY_BYTES + VOUCH_BYTES;
export const INITIATE_BYTES_MIN: number = INITIATE_BOX_AT + INITIATE_PLAIN_BYTES_MIN + MAC_BYTES;

export const READY_NONCE_AT: number = READY_NAME.length;
export const READY_BOX_AT: number = READY_NONCE_AT + SHORT_NONCE_BYTES;

export const MESSAGE_NONCE_AT: number = MESSAGE_NAME.length;
export const MESSAGE_BOX_AT: number = MESSAGE_NONCE_AT + SHORT_NONCE_BYTES;
/** Bytes that MESSAGE adds to a frame: its head, the MAC and the flags. */
export const MESSAGE_OVERHEAD_BYTES: number = MESSAGE_BOX_AT + MAC_BYTES + 1;

/** A nonce that begins with `prefix`; the caller writes the rest unless it is given. */
export function nonceOf(prefix: string, rest?: Buffer): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.write(prefix, 'latin1');
  if (rest !== undefined) rest.copy(nonce, prefix.length);
  return nonce;
}

export function startsWith(body: Buffer, name: Buffer): boolean {
  return body.length >= name.length && body.compare(name, 0, name.length, 0, name.length) === 0;
}
