/**
 * Files of CURVE keys, as `majordomo keygen` writes them: the secret key in FILE, the public one in
 * FILE.pub.
 */
import { decodeCurveKey } from '../../core/z85.js';
import { readPrivateFile, refusedFile } from './private-file.js';

const FILE_BYTES_MAX = 256;

/**
 * Reads a secret key: 40 characters of Z85.
 * @returns its 32 bytes
 * @throws ERR_CONFIG_FILE if it is absent or not a key, or others can read it
 */
export function readSecretKey(file: string): Buffer {
  const key = decodeCurveKey(readPrivateFile(file, 'this secret key', FILE_BYTES_MAX));
  if (key === null) throw refusedFile(file, 'is not a secret key from majordomo keygen');
  return key;
}
