/** Keys for the runs with CURVE: the broker's from its own `keygen`, the generator's made here. */
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { decodeCurveKey, encodeZ85 } from '../src/core/z85.js';

export interface CurveKeys {
  /** The broker's public key, and the generator's two, in hexadecimal. */
  readonly serverKey: string;
  readonly publicKey: string;
  readonly secretKey: string;
  /** The `curve` setting of a listener, as YAML. */
  readonly listener: string;
}

/** @returns null if this version cannot make keys */
export function makeKeys(main: string, directory: string): CurveKeys | null {
  const secretKeyFile = join(directory, 'broker.key');
  const { status, stdout } = spawnSync(process.execPath, [main, 'keygen', secretKeyFile], {
    encoding: 'utf8',
  });
  const serverKey = decodeCurveKey(stdout.trim());
  if (status !== 0 || serverKey === null) return null;
  const own = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  const keysFile = join(directory, 'keys.yaml');
  const publicKey = Buffer.from(own.x ?? '', 'base64url');
  const entry = {
    name: 'bench',
    publicKey: encodeZ85(publicKey),
    allow: ['client', 'worker'],
    services: ['*'],
  };
  // JSON is YAML.
  writeFileSync(keysFile, JSON.stringify([entry]), { mode: 0o600 });
  return {
    serverKey: serverKey.toString('hex'),
    publicKey: publicKey.toString('hex'),
    secretKey: Buffer.from(own.d ?? '', 'base64url').toString('hex'),
    listener: JSON.stringify({ secretKeyFile, keysFile }),
  };
}
