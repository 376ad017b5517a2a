import {
  chmodSync,
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

import { codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import { mayOthersUse, privateRemedy, TOKEN_FILE } from '../../core/private-file.js';

const PRIVATE_MODE = 0o600;
/** The same rule as for `http.token` in the configuration. */
const TOKEN = /^[\x21-\x7e]{16,512}$/;

export interface SavedToken {
  readonly token: string;
  /** Why it could not be written to the file; `null`: it is there. */
  readonly unsaved: string | null;
}

/**
 * Returns the token of a data directory, and creates one if there is none.
 * @param fresh makes a token
 * @throws ERR_CONFIG_FILE if the file contains no token, or others may read it
 */
export function savedToken(dataDir: string, fresh: () => string): SavedToken {
  const file = join(dataDir, TOKEN_FILE);
  const known = read(file);
  if (known !== null) return { token: known, unsaved: null };
  const token = fresh();
  try {
    write(file, token);
    return { token, unsaved: null };
  } catch (error) {
    // A full disk must not keep the broker from starting.
    return { token, unsaved: messageOf(error) };
  }
}

function read(file: string): string | null {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(file, 'r');
    // Asks about the open file, so that nobody can replace it in between.
    const stats = fstatSync(descriptor);
    if (mayOthersUse(stats)) {
      throw refused(file, `other users can read it: ${privateRemedy(stats, file)}`);
    }
    const token = readFileSync(descriptor, 'latin1').trim();
    if (TOKEN.test(token)) return token;
    throw refused(file, 'does not contain a token of 16 to 512 printable characters: remove it');
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return null;
    if (code === 'ERR_CONFIG_FILE') throw error;
    throw refused(file, `cannot be read (${code ?? 'unknown'})`, error);
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}

/** Writes the file completely or not at all, even if interrupted. */
function write(file: string, token: string): void {
  const draft = `${file}.new`;
  const descriptor = openSync(draft, 'w', PRIVATE_MODE);
  try {
    writeSync(descriptor, `${token}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  // The umask or an older draft may have given it another mode.
  chmodSync(draft, PRIVATE_MODE);
  renameSync(draft, file);
}

function refused(file: string, why: string, cause?: unknown): MajordomoError {
  return new MajordomoError('ERR_CONFIG_FILE', `${file}: ${why}`, { cause, details: { file } });
}
