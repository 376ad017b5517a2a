/** Files of secret CURVE keys: see core/curve-file.ts. */
import { curveKeyIn } from '../../core/curve-file.js';
import { causeOf, codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import { readPrivateFile, refusedFile } from './private-file.js';

/** A certificate has metadata of any length. */
const FILE_BYTES_MAX = 65_536;

/**
 * Reads a secret key: 40 characters of Z85, alone or in a certificate.
 * @returns its 32 bytes
 * @throws ERR_CONFIG_FILE if it is absent or not a key, or others can read it
 */
export function readSecretKey(file: string): Buffer {
  const key = curveKeyIn(readPrivateFile(file, 'this secret key', FILE_BYTES_MAX), 'secret');
  if (key !== null) return key;
  throw refusedFile(file, 'has no secret key, as majordomo keygen or zcert (CZMQ) write it');
}

/** What makes the files of a `curve` section that are missing. */
export const MAKES = {
  listener: '`majordomo serve --init`, with the same options, creates the missing files',
  pair: '`majordomo keygen --pair DIR` creates the files of both nodes',
} as const;

/** Adds to the error about a missing file the command that makes it. */
export function withRemedy<T>(how: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (codeOf(causeOf(error)) !== 'ENOENT') throw error;
    const message = `${messageOf(error)}; ${how}`;
    throw new MajordomoError('ERR_CONFIG_FILE', message, { cause: causeOf(error) });
  }
}
