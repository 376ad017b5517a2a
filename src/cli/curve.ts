/** `--curve-server-key` and `--curve-key-file`: CURVE for the commands that talk to a broker. */
import { readSecretKey } from '../config/io/secret-key.js';
import { MajordomoError } from '../core/errors.js';
import { decodeCurveKey } from '../core/z85.js';
import type { CurveClientKeys } from '../sdk/dials.js';
import type { EndpointOptions } from './options.js';

/**
 * The SDK's option, or nothing where none of the two was given.
 * @throws ERR_USAGE, ERR_CONFIG_FILE
 */
export async function curveOf(
  options: EndpointOptions,
): Promise<{ readonly curve?: CurveClientKeys }> {
  const { curveServerKey, curveKeyFile } = options;
  if (curveServerKey === undefined && curveKeyFile === undefined) return {};
  if (curveServerKey === undefined || curveKeyFile === undefined) {
    throw new MajordomoError('ERR_USAGE', '--curve-server-key and --curve-key-file go together');
  }
  const serverKey = decodeCurveKey(curveServerKey);
  if (serverKey === null) {
    throw new MajordomoError('ERR_USAGE', '--curve-server-key: a key has 40 characters of Z85');
  }
  const secretKey = readSecretKey(curveKeyFile);
  const { loadSodium } = await import('../zmtp/curve/sodium.js');
  const publicKey = (await loadSodium()).publicKeyOf(secretKey);
  return { curve: { serverKey, publicKey, secretKey } };
}
