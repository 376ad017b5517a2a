/** CURVE keys of programs that connect: from the option `curve`, or from files. */
import { existsSync, readFileSync } from 'node:fs';

import { curveKeyIn, curvePublicKeyOf } from '../core/curve-file.js';
import { messageOf } from '../core/errors.js';
import { wrong } from './errors.js';

/**
 * CURVE (25/ZMTP-CURVE): encrypts the connection, and accepts only the broker with this key.
 *
 *     connect('tcp://broker:5557', { curve: { serverKey, secretKey } });
 *
 * `Curve.fromFile` reads them from files.
 */
export interface CurveOptions {
  /** The broker's public key: 40 characters of Z85, or 32 bytes. */
  readonly serverKey: string | Uint8Array;
  /** The public key of this program, in the form of `serverKey`. Default: derived from `secretKey`. */
  readonly publicKey?: string | Uint8Array;
  /** The secret key of this program, in the form of `serverKey`. */
  readonly secretKey: string | Uint8Array;
}

/** Makes the option `curve` of files. */
export const Curve = {
  /**
   * The keys of a file of `majordomo keygen`, or of a ZeroMQ certificate (`.key_secret`); the public key is derived.
   *
   *     const curve = Curve.fromFile('billing.key', 'broker.key.pub');
   *     const client = new Client({ endpoints: 'tcp://broker:5557', curve });
   *
   * @param serverKey the broker's public key, 40 characters of Z85, or a file with it in either form
   * @throws ERR_MDP_OPTION
   */
  fromFile(file: string, serverKey: string): CurveOptions {
    if (typeof (serverKey as unknown) !== 'string') {
      throw wrong('curve', "needs the broker's public key, or a file with it, as second argument");
    }
    const known = curveKeyIn(serverKey, 'public');
    return {
      serverKey: known ?? serverKeyOf(serverKey),
      secretKey: keyOf(file, 'secret'),
    };
  },
} as const;

function serverKeyOf(file: string): Buffer {
  const text = textOf(file);
  const key = keyIn(text, file, 'public');
  const secret = curveKeyIn(text, 'secret');
  if (secret === null) return key;
  const publicFile = file.endsWith('_secret') ? file.slice(0, -'_secret'.length) : `${file}.pub`;
  // A key alone may be of either kind; keygen writes the public one beside the secret one.
  const isPublic =
    secret.equals(key) &&
    !(existsSync(publicFile) && keyOf(publicFile, 'public').equals(curvePublicKeyOf(secret)));
  if (isPublic) return key;
  throw wrong('curve', `${file} has a secret key: give the broker's public one, ${publicFile}`);
}

function keyOf(file: string, kind: 'public' | 'secret'): Buffer {
  return keyIn(textOf(file), file, kind);
}

function keyIn(text: string, file: string, kind: 'public' | 'secret'): Buffer {
  const key = curveKeyIn(text, kind);
  if (key === null) throw wrong('curve', `${file} has no ${kind} key`);
  return key;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw wrong('curve', `cannot be read: ${messageOf(error)}`);
  }
}
