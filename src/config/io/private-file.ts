/** Reads files that hold secrets. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

import { codeOf, MajordomoError } from '../../core/errors.js';
import { mayOthersUse, privateRemedy } from '../../core/private-file.js';

const SECRETS_MAX = 2;

/**
 * Reads a file that holds a secret.
 * @param what is in it, for the message: `this secret key`
 * @param bytesMax maximum size; no more than this and one byte is read
 * @returns its text, one character per byte, without spaces at the ends
 * @throws ERR_CONFIG_FILE if it is absent or too large, or others can read it
 * @example readPrivateFile('/etc/majordomo/broker.key', 'this secret key', 256)
 */
export function readPrivateFile(file: string, what: string, bytesMax: number): string {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(file, 'r');
    // Checks the open file, so that nobody can exchange the file in between.
    const stats = fstatSync(descriptor);
    if (mayOthersUse(stats)) {
      const now = (stats.mode & 0o777).toString(8).padStart(4, '0');
      const why = `other users can read ${what} (mode ${now}): ${privateRemedy(stats, file)}`;
      throw refusedFile(file, why);
    }
    const bytes = Buffer.alloc(bytesMax + 1);
    const length = readSync(descriptor, bytes, 0, bytesMax + 1, 0);
    const text = bytes.toString('latin1', 0, length);
    bytes.fill(0);
    if (length > bytesMax) throw refusedFile(file, `is larger than ${bytesMax} bytes`);
    return text.trim();
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ERR_CONFIG_FILE') throw error;
    const why = code === 'ENOENT' ? 'no such file' : `cannot be read (${code ?? 'unknown'})`;
    throw refusedFile(file, why, error);
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}

/**
 * Reads a file with a secret on each line, which has a second line while one takes the place of the other.
 * @param wrong what is wrong with a line for which `secretIn` returns `null`
 * @returns the secrets, the current one first
 * @throws see `readPrivateFile`
 */
export function readSecrets<Secret>(
  file: string,
  bytesMax: number,
  secretIn: (line: string) => Secret | null,
  wrong: string,
): readonly Secret[] {
  const lines = readPrivateFile(file, 'this secret', bytesMax).split(/(?<!\s)\s*\n\s*/);
  if (lines.length > SECRETS_MAX) throw refusedFile(file, `more than ${SECRETS_MAX} secrets`);
  return lines.map((line) => {
    const secret = secretIn(line);
    if (secret === null) throw refusedFile(file, wrong);
    return secret;
  });
}

/** The error for a file that cannot be used. @param why follows its name */
export function refusedFile(file: string, why: string, cause?: unknown): MajordomoError {
  return new MajordomoError('ERR_CONFIG_FILE', `${file}: ${why}`, { cause, details: { file } });
}
