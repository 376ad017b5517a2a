/** `--curve-server-key` and `--curve-key-file`: CURVE for the commands that talk to a broker. */
import { readSecretKey } from '../config/io/secret-key.js';
import { codeOf, MajordomoError, messageOf } from '../core/errors.js';
import { decodeCurveKey, encodeZ85 } from '../core/z85.js';
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

/**
 * What else it may be where nobody answers: a broker that refuses a key says so in its own log alone.
 * @param right what the entry has to give
 */
export function keyHint(curve: CurveClientKeys | undefined, right: 'client' | 'worker'): string {
  if (curve === undefined) return '';
  const key = Buffer.from(curve.publicKey);
  return (
    ` (or the broker refuses the key ${encodeZ85(key)}: then its listener's keys file needs an ` +
    `entry with this publicKey that gives the right ${right}; or --curve-server-key is not its key)`
  );
}

/** Runs `use`; where no endpoint accepts a connection, the error has the hint. */
export async function withKeyHint<T>(
  curve: CurveClientKeys | undefined,
  use: () => Promise<T>,
): Promise<T> {
  try {
    return await use();
  } catch (error) {
    if (curve === undefined || codeOf(error) !== 'ERR_MDP_UNREACHABLE') throw error;
    const message = messageOf(error) + keyHint(curve, 'client');
    throw new MajordomoError('ERR_MDP_UNREACHABLE', message, { cause: error });
  }
}
