/**
 * Files of CURVE keys, as `majordomo keygen` writes them: the secret key in FILE, the public one in
 * FILE.pub.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

import { codeOf, MajordomoError } from '../../core/errors.js';
import { mayOthersUse } from '../../core/private-file.js';
import { decodeCurveKey } from '../../core/z85.js';

/** Everybody except the owner. */
const FILE_BYTES_MAX = 256;

/**
 * Reads a secret key: 40 characters of Z85.
 * @returns its 32 bytes
 * @throws ERR_CONFIG_FILE if it is absent or not a key, or others can read it
 */
export function readSecretKey(file: string): Buffer {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(file, 'r');
    // Checks the open file, so that nobody can exchange the file in between.
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
