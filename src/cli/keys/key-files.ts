/** Files of CURVE keys: FILE has the secret key, FILE.pub the public one. None is ever overwritten. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

import { readSecretKey } from '../../config/io/secret-key.js';
import { codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import { encodeZ85 } from '../../core/z85.js';
import type { CurveCrypto } from '../../zmtp/curve/crypto.js';

const DIRECTORY_MODE = 0o700;
export const SECRET_MODE = 0o600;
const PUBLIC_MODE = 0o644;

export function publicFileOf(file: string): string {
  return `${file}.pub`;
}

/**
 * Makes a key pair.
 * @returns the public key, in Z85
 * @throws ERR_OUTPUT, also if one of the files exists
 */
export function makeKeyPair(file: string, crypto: CurveCrypto): string {
  const { publicKey, secretKey } = crypto.keyPair();
  const shown = encodeZ85(publicKey);
  write(file, `${encodeZ85(secretKey)}\n`, SECRET_MODE);
  secretKey.fill(0);
  try {
    write(publicFileOf(file), `${shown}\n`, PUBLIC_MODE);
  } catch (error) {
    unlinkSync(file);
    throw error;
  }
  return shown;
}

/** What one node of a pair needs. */
export interface NodeKeys {
  readonly role: 'primary' | 'backup';
  readonly publicKey: string;
  /** The node's `bstar.curve`. */
  readonly curve: {
    readonly secretKeyFile: string;
    readonly keysFile: string;
    readonly serverKey: string;
  };
}

/**
 * Makes what is not there yet of the keys of a pair: a key pair for each node, and the keys file of
 * both.
 * @throws ERR_OUTPUT; ERR_CONFIG_FILE for a file that is there and is not what it should be
 */
export function makePairKeys(directory: string, crypto: CurveCrypto): readonly NodeKeys[] {
  makeDirectory(directory);
  const keyOf = (role: string): string => madeOrFound(join(directory, `${role}.key`), crypto);
  const [primary, backup] = [keyOf('primary'), keyOf('backup')];
  const keysFile = join(directory, 'keys.yaml');
  const entries = [entry('primary', primary), entry('backup', backup)];
  if (!existsSync(keysFile)) write(keysFile, `${HEAD}${entries.join('')}`, SECRET_MODE);
  const found = readFileSync(keysFile, 'utf8');
  const lacking = entries.filter((_, index) => !found.includes(index === 0 ? primary : backup));
  if (lacking.length > 0) {
    const text = `${keysFile} exists but lacks a key of this pair; add: ${lacking.join(' ').trim()}`;
    throw new MajordomoError('ERR_CONFIG_FILE', text, { details: { file: keysFile } });
  }
  const node = (role: NodeKeys['role'], publicKey: string, serverKey: string): NodeKeys => {
    const secretKeyFile = join(directory, `${role}.key`);
    return { role, publicKey, curve: { secretKeyFile, keysFile, serverKey } };
  };
  return [node('primary', primary, backup), node('backup', backup, primary)];
}

const HEAD =
  '# The keys of both nodes of this pair: the same file on both. Changes apply at once.\n';

function entry(name: string, publicKey: string): string {
  return `- { name: ${name}, publicKey: '${publicKey}', allow: [peer] }\n`;
}

/**
 * A key pair, made if it is not there. A run that was broken off is finished by the next one.
 * @returns the public key, in Z85
 */
export function madeOrFound(file: string, crypto: CurveCrypto): string {
  if (!existsSync(file)) return makeKeyPair(file, crypto);
  const secretKey = readSecretKey(file);
  const shown = encodeZ85(crypto.publicKeyOf(secretKey));
  secretKey.fill(0);
  const publicFile = publicFileOf(file);
  if (!existsSync(publicFile)) write(publicFile, `${shown}\n`, PUBLIC_MODE);
  if (readFileSync(publicFile, 'latin1').trim() === shown) return shown;
  const text = `${publicFile} is not the public key of ${file}`;
  throw new MajordomoError('ERR_CONFIG_FILE', text, { details: { file: publicFile } });
}

export function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
  } catch (error) {
    throw new MajordomoError('ERR_OUTPUT', `${directory}: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Writes a file, which is on disk then: all of it, or none if the disk is full.
 * @throws ERR_OUTPUT, also if the file exists
 */
export function write(file: string, text: string, mode: number): void {
  const draft = `${file}.${randomBytes(4).toString('hex')}.new`;
  try {
    writeFileSync(draft, text, { flag: 'wx', mode, flush: true });
    place(draft, file);
  } catch (error) {
    const why = codeOf(error) === 'EEXIST' ? 'exists and is not overwritten' : messageOf(error);
    throw new MajordomoError('ERR_OUTPUT', `${file}: ${why}`, { cause: error });
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Gives a file its name. Unlike a rename, it does not replace a file that was created meanwhile. */
function place(draft: string, file: string): void {
  try {
    linkSync(draft, file);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw error;
    // A file system without hard links, such as that of a USB stick.
    copyFileSync(draft, file, constants.COPYFILE_EXCL);
  }
  try {
    sync(file);
    sync(dirname(file));
  } catch (error) {
    unlinkSync(file);
    throw error;
  }
}

function sync(path: string): void {
  // Windows syncs no directory, and no file that is open for reading; the text itself was flushed.
  if (process.platform === 'win32') return;
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
