/** The token for a node: given, or read from the data directory of one on this machine. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Config } from '../../config/config.js';
import { codeOf } from '../../core/errors.js';
import { TOKEN_FILE } from '../../core/private-file.js';
import { usage } from '../common/options.js';

export interface FoundToken {
  readonly token: string | null;
  /** Why there is no token, for the error when the node asks for one. */
  readonly why: string | null;
  /** What to do after a refusal, for commands without the options of operators. */
  readonly remedy?: string;
}

const TOKEN = /^[\x21-\x7e]+$/;

/**
 * The token from the command line or the environment.
 * @throws ERR_USAGE
 */
export function givenToken(options: {
  readonly token?: string;
  readonly tokenFile?: string;
}): string | null {
  const { token, tokenFile } = options;
  const { MAJORDOMO_TOKEN: known = '', MAJORDOMO_TOKEN_FILE: file = '' } = process.env;
  if (token !== undefined) return checked(token, '--token');
  if (tokenFile !== undefined) return ofFile(tokenFile, '--token-file');
  if (known !== '') return checked(known, 'MAJORDOMO_TOKEN');
  return file === '' ? null : ofFile(file, 'MAJORDOMO_TOKEN_FILE');
}

function ofFile(file: string, option: string): string {
  const place = `${option} ${file}`;
  try {
    return checked(readFileSync(file, 'utf8').trim(), place);
  } catch (error) {
    if (codeOf(error) === 'ERR_USAGE') throw error;
    throw usage(`${place} cannot be read: ${codeOf(error) ?? 'unknown'}`);
  }
}

function checked(token: string, place: string): string {
  if (TOKEN.test(token)) return token;
  throw usage(`${place}: a token is printable ASCII without spaces`);
}

/**
 * From the configuration or its data directory. A user who cannot read that can still read over
 * loopback.
 */
export async function localToken({ http, node }: Config): Promise<FoundToken> {
  if (http.token !== null) return { token: http.token, why: null };
  const file = join(node.dataDir, TOKEN_FILE);
  try {
    const token = readFileSync(file, 'utf8').trim();
    if (TOKEN.test(token)) return { token, why: null };
    return { token: await listedToken(http), why: `${file} holds no token` };
  } catch (error) {
    const code = codeOf(error) ?? 'unknown';
    const why =
      code === 'ENOENT' || code === 'ENOTDIR'
        ? `${file} does not exist: name the broker's configuration with -c`
        : `this user cannot read ${file} (${code}): run this command as the user that runs the broker`;
    return { token: await listedToken(http), why };
  }
}

/** One of `http.tokens` that this user can read: an operator's, else one that only reads. */
async function listedToken({ tokens }: Config['http']): Promise<string | null> {
  const { readToken } = await import('../../config/io/token-files.js');
  for (const role of ['operate', 'read']) {
    for (const each of tokens) {
      if (each.role !== role) continue;
      try {
        return readToken(each).token;
      } catch {
        // The file is for other users.
      }
    }
  }
  return null;
}
