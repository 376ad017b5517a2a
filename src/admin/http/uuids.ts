/**
 * Uuids of stored requests as answers show them. A whole uuid is the credential for the reply, so
 * only requests with a token get it.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';

import type { Caller } from './route.js';

/** Hex digits, as in the log: the time, and twelve bits that distinguish neighbours. */
export const SHOWN_DIGITS = 16;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const UUID_BYTES = 16;
const ALGORITHM = 'aes-256-gcm';

export function shownUuid(uuid: Buffer, caller: Caller): string {
  const whole = uuid.toString('hex').toUpperCase();
  return caller === 'anyone' ? `${whole.slice(0, SHOWN_DIGITS)}…` : whole;
}

/** `null`: it is no uuid. */
export function uuidBytes(text: string): Buffer | null {
  return hexBytes(text, UUID_BYTES);
}

/** Parses so many bytes in hex. */
function hexBytes(text: string, bytes: number): Buffer | null {
  const isHex = text.length === 2 * bytes && /^[\da-f]*$/i.test(text);
  return isHex ? Buffer.from(text, 'hex') : null;
}

/**
 * The cursors of lists. A cursor is the uuid of a request, or a due time and the uuid of a schedule.
 * Requests without a token get encrypted cursors and may use no others: with a cursor of its choice,
 * a client could find whole uuids by bisecting the list.
 */
export class Cursors {
  readonly #random: (bytes: Buffer) => void;
  readonly #key = Buffer.alloc(32);

  /** @param random fills a buffer with random bytes */
  constructor(random: (bytes: Buffer) => void) {
    this.#random = random;
    random(this.#key);
  }

  shown(place: Buffer, caller: Caller): string {
    if (caller !== 'anyone') return place.toString('hex').toUpperCase();
    const iv = Buffer.alloc(IV_BYTES);
    this.#random(iv);
    const cipher = createCipheriv(ALGORITHM, this.#key, iv);
    const sealed = Buffer.concat([cipher.update(place), cipher.final()]);
    return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64url');
  }

  /**
   * @param placeBytes size of a place in that list
   * @returns `null` if this process did not issue the cursor for such a caller
   */
  read(cursor: string, caller: Caller, placeBytes = UUID_BYTES): Buffer | null {
    const plain = caller === 'anyone' ? null : hexBytes(cursor, placeBytes);
    if (plain !== null) return plain;
    const bytes = Buffer.from(cursor, 'base64url');
    if (bytes.length !== IV_BYTES + TAG_BYTES + placeBytes) return null;
    const decipher = createDecipheriv(ALGORITHM, this.#key, bytes.subarray(0, IV_BYTES));
    decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
    try {
      return Buffer.concat([
        decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)),
        decipher.final(),
      ]);
    } catch {
      return null;
    }
  }
}
