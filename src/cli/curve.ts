/** `--curve-server-key` and `--curve-key-file`: CURVE for the commands that talk to a broker. */
import { readSecretKey } from '../config/io/secret-key.js';
import { causeOf, codeOf, detailsOf, MajordomoError, messageOf } from '../core/errors.js';
import { decodeCurveKey, encodeZ85 } from '../core/z85.js';
import type { CurveClientKeys } from '../sdk/dials.js';
import type { CurveOptions } from './options.js';

/**
 * The SDK's option, or nothing if neither option was given.
 * @throws ERR_USAGE, ERR_CONFIG_FILE
 */
export async function curveOf(
  options: CurveOptions,
): Promise<{ readonly curve?: CurveClientKeys }> {
  const { curveServerKey, curveKeyFile } = options;
  if (curveServerKey === undefined && curveKeyFile === undefined) return {};
  if (curveServerKey === undefined || curveKeyFile === undefined) {
    throw new MajordomoError(
      'ERR_USAGE',
      '--curve-server-key and --curve-key-file must be given together',
    );
  }
  const serverKey = decodeCurveKey(curveServerKey);
  if (serverKey === null) {
    throw new MajordomoError('ERR_USAGE', '--curve-server-key: a key is 40 characters of Z85');
  }
  const secretKey = readSecretKey(curveKeyFile);
  const { loadSodium } = await import('../zmtp/curve/sodium.js');
  const publicKey = (await loadSodium()).publicKeyOf(secretKey);
  return { curve: { serverKey, publicKey, secretKey } };
}

/**
 * What to do if a broker does not admit the key.
 * @param right that the key's entry must give
 */
export function keyRemedy(curve: CurveClientKeys | undefined, right: 'client' | 'worker'): string {
  if (curve === undefined) return 'does not admit this program, which has no key';
  const key = encodeZ85(Buffer.from(curve.publicKey));
  return (
    `refuses the key ${key}: the keys file of its listener needs an entry with this ` +
    `publicKey and the right ${right}`
  );
}

/** Another possible reason if no broker answers. */
export function keyHint(curve: CurveClientKeys | undefined): string {
  return curve === undefined ? '' : " (or --curve-server-key is not that broker's)";
}

/** Runs `use`; errors that the keys may have caused say so. */
export async function withKeyHint<T>(
  curve: CurveClientKeys | undefined,
  use: () => Promise<T>,
): Promise<T> {
  try {
    return await use();
  } catch (error) {
    if (curve === undefined) throw error;
    const code = codeOf(error);
    if (code === 'ERR_MDP_KEY_REFUSED') {
      throw new MajordomoError(code, `the broker ${keyRemedy(curve, 'client')}`, { cause: error });
    }
    if (code !== 'ERR_MDP_UNREACHABLE') throw error;
    const facts = { cause: causeOf(error), details: detailsOf(error) };
    throw new MajordomoError(code, messageOf(error) + keyHint(curve), facts);
  }
}
