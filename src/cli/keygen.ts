/** `majordomo keygen`: a CURVE key pair in two files, or all keys of a pair of nodes. */
import type { Command } from 'commander';

import { MajordomoError } from '../core/errors.js';
import { EXIT } from '../core/exit.js';
import { makeKeyPair, makePairKeys, type NodeKeys, publicFileOf } from './key-files.js';
import { addOutputOption, type Done, examples, type OutputFormat } from './options.js';
import { print, printJson } from './output.js';

const EXAMPLES = [
  ['majordomo keygen server.key', 'for the broker: curve.secretKeyFile of a listener'],
  ['majordomo keygen alice.key', 'for a client: add its public key to the keysFile'],
  ['majordomo keygen --pair keys', 'all keys of a pair, and the configuration of its nodes'],
] as const;

const AFTER = `${examples(EXAMPLES)}
FILE gets the secret key, with mode 0600; FILE.pub gets the public key, which is printed as well.
Both are 40 characters of Z85. Files that exist are never overwritten.

--pair creates in DIR the secret keys primary.key and backup.key, their .pub files, and keys.yaml with both
public keys. Each node needs its own secret key and keys.yaml. If you run it again, it creates only the
missing files.
`;

interface KeygenOptions {
  readonly output: OutputFormat;
  readonly pair?: string;
}

export function defineKeygen(command: Command, done: Done): void {
  addOutputOption(command)
    .argument('[file]', 'file for the secret key; the public key goes to <file>.pub')
    .option('--pair <dir>', 'directory for the keys of both nodes of a pair')
    .addHelpText('after', AFTER)
    .action(async (file: string | undefined, { output, pair }: KeygenOptions) => {
      if ((file === undefined) === (pair === undefined)) {
        throw new MajordomoError('ERR_USAGE', 'give a file, or --pair and a directory');
      }
      const { loadSodium } = await import('../zmtp/curve/sodium.js');
      const crypto = await loadSodium();
      if (file !== undefined) await one(file, makeKeyPair(file, crypto), output);
      if (pair !== undefined) await both(makePairKeys(pair, crypto), output);
      done(EXIT.done);
    });
}

async function one(file: string, publicKey: string, output: OutputFormat): Promise<void> {
  if (output === 'text') await print(`${publicKey}\n`);
  else await printJson({ publicKey, secretKeyFile: file, publicKeyFile: publicFileOf(file) });
}

async function both(nodes: readonly NodeKeys[], output: OutputFormat): Promise<void> {
  if (output === 'text') await print(nodes.map(lines).join('\n'));
  else await printJson({ nodes });
}

/** What goes into the configuration of a node. */
function lines({ role, curve: { secretKeyFile, keysFile, serverKey } }: NodeKeys): string {
  const curve = `{ secretKeyFile: ${secretKeyFile}, keysFile: ${keysFile}, serverKey: '${serverKey}' }`;
  return `# the ${role}\nbstar:\n  curve: ${curve}\n`;
}
