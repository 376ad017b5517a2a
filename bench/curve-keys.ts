/** Keys for the runs with CURVE: the broker's by its own `keygen`, the generator's made here. */
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CurveKeys {
  /** The broker's public and the generator's secret key, in hexadecimal. */
  readonly serverKey: string;
  readonly secretKey: string;
  /** `curve` of a listener, as YAML. */
  readonly listener: string;
}

/** 32/Z85, of which five digits are four bytes. */
const Z85 = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';

/** @returns null if this version makes no keys */
export function makeKeys(main: string, directory: string): CurveKeys | null {
  const secretKeyFile = join(directory, 'broker.key');
  const { status, stdout } = spawnSync(process.execPath, [main, 'keygen', secretKeyFile], {
    encoding: 'utf8',
  });
  const printed = stdout.split(/\s+/).find((word) => word.length === 40 && isZ85(word));
  if (status !== 0 || printed === undefined) return null;
  const own = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  const keysFile = join(directory, 'keys.yaml');
  const publicKey = toZ85(Buffer.from(own.x ?? '', 'base64url'));
  const entry = { name: 'bench', publicKey, allow: ['client', 'worker'], services: ['*'] };
  // JSON is YAML.
  writeFileSync(keysFile, JSON.stringify([entry]), { mode: 0o600 });
  return {
    serverKey: fromZ85(printed).toString('hex'),
    secretKey: Buffer.from(own.d ?? '', 'base64url').toString('hex'),
    listener: JSON.stringify({ secretKeyFile, keysFile }),
  };
}

function isZ85(text: string): boolean {
  return Array.from(text).every((digit) => Z85.includes(digit));
}

function toZ85(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4) {
    let value = bytes.readUInt32BE(at);
    let digits = '';
    for (let digit = 0; digit < 5; digit++) {
      digits = `${Z85[value % 85] ?? ''}${digits}`;
      value = Math.floor(value / 85);
    }
    text += digits;
  }
  return text;
}

function fromZ85(text: string): Buffer {
  const bytes = Buffer.alloc((text.length / 5) * 4);
  for (let at = 0; at < text.length; at += 5) {
    const value = Array.from(text.slice(at, at + 5)).reduce(
      (sum, digit) => sum * 85 + Z85.indexOf(digit),
      0,
    );
    bytes.writeUInt32BE(value, (at / 5) * 4);
  }
  return bytes;
}
