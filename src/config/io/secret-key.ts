/** Files of CURVE keys, as `majordomo keygen` writes them: FILE has the secret key, FILE.pub the public one. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

import { codeOf, MajordomoError } from '../../core/errors.js';
import { mayOthersUse } from '../../core/private-file.js';
import { decodeCurveKey } from '../../core/z85.js';

/** Everybody but the owner. */
const FILE_BYTES_MAX = 256;

/**
 * Reads a secret key: 40 characters of Z85.
 * @returns its 32 bytes
 * @throws ERR_CONFIG_FILE if it is absent, no key, or others may read it
 */
export function readSecretKey(file: string): Buffer {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(file, 'r');
    // Asked of what is open, so that nobody can put another file there in between.
    const { mode } = fstatSync(descriptor);
    if (mayOthersUse(mode)) {
      const now = (mode & 0o777).toString(8).padStart(4, '0');
      throw refused(file, `other users can read this secret key (mode ${now}): chmod 600 ${file}`);
    }
    const bytes = Buffer.alloc(FILE_BYTES_MAX);
    const length = readSync(descriptor, bytes, 0, FILE_BYTES_MAX, 0);
    const key = decodeCurveKey(bytes.toString('latin1', 0, length).trim());
    bytes.fill(0);
    if (key === null) throw refused(file, 'is not a secret key from majordomo keygen');
    return key;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ERR_CONFIG_FILE') throw error;
    const why = code === 'ENOENT' ? 'no such file' : `cannot be read (${code ?? 'unknown'})`;
    throw refused(file, why, error);
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}

function refused(file: string, why: string, cause?: unknown): MajordomoError {
  return new MajordomoError('ERR_CONFIG_FILE', `${file}: ${why}`, { cause, details: { file } });
}
