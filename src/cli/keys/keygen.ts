/** `majordomo keygen`: a CURVE key pair in two files, or all keys of a pair of nodes. */
import type { Command } from 'commander';

import { makeKeyPair, makePairKeys, type NodeKeys, publicFileOf } from './key-files.js';
import { addOutputOption, type OutputOptions, tell } from '../common/formats.js';
import { examples, usage } from '../common/options.js';

const EXAMPLES = [
  ['majordomo keygen server.key', 'for the broker: curve.secretKeyFile of a listener'],
  ['majordomo keygen alice.key', 'for a client: add its public key to the keysFile'],
  ['majordomo keygen --pair keys', 'all keys of a pair, and the configuration of its nodes'],
] as const;

const AFTER = `${examples(EXAMPLES)}
FILE gets the secret key, with mode 0600; FILE.pub gets the public key, which is printed as well.
Both are 40 characters of Z85. Files that exist are never overwritten.

--pair creates in DIR the secret keys primary.key and backup.key, their .pub files, and keys.yaml with both
public keys (0600, as the secret keys: the broker's user reads it). Each node needs its own secret key and keys.yaml. If you run it again, it creates only the
missing files.
`;

interface KeygenOptions extends OutputOptions {
  readonly pair?: string;
}

export function define(command: Command): void {
  addOutputOption(command)
    .argument('[file]', 'file for the secret key; the public key goes to <file>.pub')
    .option('--pair <dir>', 'directory for the keys of both nodes of a pair')
    .addHelpText('after', AFTER)
    .action(async (file: string | undefined, { output, pair }: KeygenOptions) => {
      if ((file === undefined) === (pair === undefined)) {
        throw usage('give a file, or --pair and a directory');
      }
      const { loadSodium } = await import('../../zmtp/curve/sodium.js');
      const crypto = await loadSodium();
      if (file !== undefined) {
        const publicKey = makeKeyPair(file, crypto);
        const made = { publicKey, secretKeyFile: file, publicKeyFile: publicFileOf(file) };
        await tell(output, made, `${publicKey}\n`);
      }
      if (pair !== undefined) {
        const nodes = makePairKeys(pair, crypto);
        await tell(output, { nodes }, nodes.map(lines).join('\n'));
      }
    });
}

/** What goes into the configuration of a node. */
function lines({ role, curve: { secretKeyFile, keysFile, serverKey } }: NodeKeys): string {
  const curve = `{ secretKeyFile: ${secretKeyFile}, keysFile: ${keysFile}, serverKey: '${serverKey}' }`;
  return `# the ${role}\nbstar:\n  curve: ${curve}\n`;
}
