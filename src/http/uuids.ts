/**
 * Uuids of stored requests as they are shown: the whole is the credential for the reply, so it is
 * for those alone who gave a token.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';

import type { Standing } from './route.js';

/** As in the log: the time, and twelve bits that tell neighbours apart. */
const SHOWN = 16;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const UUID_BYTES = 16;
const ALGORITHM = 'aes-256-gcm';

export function shownUuid(uuid: Buffer, standing: Standing): string {
  const whole = uuid.toString('hex').toUpperCase();
  return standing === 'anyone' ? `${whole.slice(0, SHOWN)}…` : whole;
}

/** The bytes of a whole uuid as it is typed. */
function uuidBytes(text: string): Buffer | null {
  return /^[\da-f]{32}$/i.test(text) ? Buffer.from(text, 'hex') : null;
}

/**
 * Where lists go on. A cursor is the uuid of a request; without a token it is sealed, and only such
 * a one is taken, or whoever halves the list again and again would find whole uuids.
 */
export class Cursors {
  readonly #random: (bytes: Buffer) => void;
  readonly #key = Buffer.alloc(32);

  /** @param random fills a buffer */
  constructor(random: (bytes: Buffer) => void) {
    this.#random = random;
    random(this.#key);
  }

  shown(uuid: Buffer, standing: Standing): string {
    if (standing !== 'anyone') return shownUuid(uuid, standing);
    const iv = Buffer.alloc(IV_BYTES);
    this.#random(iv);
    const cipher = createCipheriv(ALGORITHM, this.#key, iv);
    const sealed = Buffer.concat([cipher.update(uuid), cipher.final()]);
    return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64url');
  }

  /** @returns `null` for one that this process did not give to such a reader */
  read(cursor: string, standing: Standing): Buffer | null {
    const plain = standing === 'anyone' ? null : uuidBytes(cursor);
    if (plain !== null) return plain;
    const bytes = Buffer.from(cursor, 'base64url');
    if (bytes.length !== IV_BYTES + TAG_BYTES + UUID_BYTES) return null;
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
