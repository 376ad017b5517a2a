/** The file of the node's own token, in the data directory. */
import { chmodSync, closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { readTokenFile } from '../../config/io/token-files.js';
import { causeOf, codeOf, messageOf } from '../../core/errors.js';
import { TOKEN_FILE } from '../../core/private-file.js';

const PRIVATE_MODE = 0o600;

interface SavedToken {
  /** The secrets of the token, the current one first. */
  readonly secrets: readonly string[];
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
  try {
    return { secrets: readTokenFile(file), unsaved: null };
  } catch (error) {
    if (codeOf(causeOf(error)) !== 'ENOENT') throw error;
  }
  const token = fresh();
  try {
    write(file, token);
    return { secrets: [token], unsaved: null };
  } catch (error) {
    // A full disk must not keep the broker from starting.
    return { secrets: [token], unsaved: messageOf(error) };
  }
}

/** Writes the file completely or not at all, even if interrupted. */
function write(file: string, token: string): void {
  const draft = `${file}.new`;
  const descriptor = openSync(draft, 'w', PRIVATE_MODE);
  try {
    // Unlike `writeSync`, it fails if a full disk took only the beginning.
    writeFileSync(descriptor, `${token}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  // The umask or an older draft may have given it another mode.
  chmodSync(draft, PRIVATE_MODE);
  renameSync(draft, file);
}
