/** `majordomo keygen`: a CURVE key pair, in two files. */
import { closeSync, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import type { Command } from 'commander';

import { codeOf, MajordomoError, messageOf } from '../core/errors.js';
import { EXIT } from '../core/exit.js';
import { encodeZ85 } from '../core/z85.js';
import { addOutputOption, type Done, examples, type OutputFormat } from './options.js';
import { print, printJson } from './output.js';

const EXAMPLES = [
  ['majordomo keygen server.key', "secretKeyFile of a listener's curve"],
  ['majordomo keygen alice.key', 'for a client; its public key goes into keysFile'],
] as const;

const AFTER = `${examples(EXAMPLES)}
FILE gets the secret key, with mode 0600; FILE.pub gets the public key, which is printed as well.
Both are 40 characters of Z85. Files that exist are never overwritten.
`;

const SECRET_MODE = 0o600;
const PUBLIC_MODE = 0o644;

export function defineKeygen(command: Command, done: Done): void {
  addOutputOption(command)
    .argument('<file>', 'where the secret key goes; the public one goes to <file>.pub')
    .addHelpText('after', AFTER)
    .action(async (file: string, { output }: { readonly output: OutputFormat }) => {
      const { loadSodium } = await import('../zmtp/curve/sodium.js');
      const { publicKey, secretKey } = (await loadSodium()).keyPair();
      const shown = encodeZ85(publicKey);
      write(file, encodeZ85(secretKey), SECRET_MODE);
      secretKey.fill(0);
      const publicFile = `${file}.pub`;
      try {
        write(publicFile, shown, PUBLIC_MODE);
      } catch (error) {
        unlinkSync(file);
        throw error;
      }
      if (output === 'text') await print(`${shown}\n`);
      else await printJson({ publicKey: shown, secretKeyFile: file, publicKeyFile: publicFile });
      done(EXIT.done);
    });
}

/** @throws ERR_OUTPUT, also if the file exists */
function write(file: string, text: string, mode: number): void {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(file, 'wx', mode);
    writeSync(descriptor, `${text}\n`);
    fsyncSync(descriptor);
  } catch (error) {
    const why = codeOf(error) === 'EEXIST' ? 'exists and is not overwritten' : messageOf(error);
    throw new MajordomoError('ERR_OUTPUT', `${file}: ${why}`, { cause: error });
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}
