/**
 * The keys of a pair's link, in a directory for the test: off loopback a link requires keys (D78).
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { encodeZ85 } from '../../src/core/z85.js';
import { loadSodium } from '../../src/zmtp/curve/sodium.js';
import { temporaryDirectory } from './daemon.js';

/** @returns the `--set` options of each node */
export async function pairKeys(): Promise<Record<'primary' | 'backup', readonly string[]>> {
  const directory = temporaryDirectory();
  const sodium = await loadSodium();
  const keysFile = join(directory, 'keys.yaml');
  const make = (role: string): string => {
    const { publicKey, secretKey } = sodium.keyPair();
    writeFileSync(join(directory, `${role}.key`), encodeZ85(secretKey), { mode: 0o600 });
    return encodeZ85(publicKey);
  };
  const keys = { primary: make('primary'), backup: make('backup') };
  const entries = Object.entries(keys).map(
    ([name, key]) => `- { name: ${name}, publicKey: '${key}', allow: [peer] }\n`,
  );
  writeFileSync(keysFile, entries.join(''));
  const setsOf = (role: string, serverKey: string): readonly string[] => [
    `bstar.curve.secretKeyFile=${join(directory, `${role}.key`)}`,
    `bstar.curve.keysFile=${keysFile}`,
    `bstar.curve.serverKey='${serverKey}'`,
  ];
  return { primary: setsOf('primary', keys.backup), backup: setsOf('backup', keys.primary) };
}
