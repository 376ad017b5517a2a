/** The token for a node: given, or read from the data directory of one on this machine. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Config } from '../../config/config.js';
import { secretsOf } from '../../config/entries.js';
import { codeOf } from '../../core/errors.js';
import { TOKEN_FILE } from '../../core/private-file.js';
import { usage } from '../common/options.js';

/** A token; with two secrets, as during a rotation, it is the first. */
export interface FoundToken {
  readonly token: string | null;
  /** What it was taken from, for the error when the node refuses it. */
  readonly from?: string;
  /** Nothing said that it is for this node: a node of the same folder left it. If it is refused, it is not sent again. */
  readonly isGuess?: boolean;
  /** Why there is no token, for the error when the node asks for one. */
  readonly why: string | null;
  /** What to do after a refusal, for commands without the options of operators. */
  readonly remedy?: string;
}

/** The options that give a token. */
export interface TokenOptions {
  readonly token?: string;
  readonly tokenFile?: string;
  /** What gave `tokenFile`, if it was no option. */
  readonly tokenFrom?: string;
}

const TOKEN = /^[\x21-\x7e]+$/;
const BEFORE = ', which comes before the token of the configuration';

/**
 * The token from the command line or the environment.
 * @throws ERR_USAGE
 */
export function givenToken(options: TokenOptions): FoundToken | null {
  const { token, tokenFile, tokenFrom = '--token-file' } = options;
  const { MAJORDOMO_TOKEN: known = '', MAJORDOMO_TOKEN_FILE: file = '' } = process.env;
  if (token !== undefined) return checked(token, '--token');
  if (tokenFile !== undefined) return ofFile(tokenFile, tokenFrom);
  if (known !== '') return checked(known, 'MAJORDOMO_TOKEN', BEFORE);
  return file === '' ? null : ofFile(file, 'MAJORDOMO_TOKEN_FILE', BEFORE);
}

function ofFile(file: string, option: string, note = ''): FoundToken {
  const place = `${option} ${file}`;
  try {
    return checked(firstIn(file), place, note);
  } catch (error) {
    if (codeOf(error) === 'ERR_USAGE') throw error;
    throw usage(`${place} cannot be read: ${codeOf(error) ?? 'unknown'}`);
  }
}

/** The first secret of a file of tokens: the one that is valid before, during and after a rotation. */
function firstIn(file: string): string {
  return readFileSync(file, 'utf8').trim().split('\n', 1)[0]?.trimEnd() ?? '';
}

function checked(token: string, place: string, note = ''): FoundToken {
  if (TOKEN.test(token)) return { token, from: place + note, why: null };
  throw usage(`${place}: a token is printable ASCII without spaces`);
}

/**
 * Finds the token of the configuration or of its data directory. A user who cannot read that can still
 * read over loopback.
 * @param isGuess see `FoundToken`
 */
export async function localToken({ http, node }: Config, isGuess = false): Promise<FoundToken> {
  const [own] = secretsOf(http.token);
  if (own !== undefined) return { token: own, from: 'http.token of the configuration', why: null };
  const file = join(node.dataDir, TOKEN_FILE);
  try {
    const token = firstIn(file);
    if (TOKEN.test(token)) return { token, from: file, isGuess, why: null };
    return { ...(await listedToken(http)), why: `${file} holds no token` };
  } catch (error) {
    const code = codeOf(error) ?? 'unknown';
    const why =
      code === 'ENOENT' || code === 'ENOTDIR'
        ? `${file} does not exist: name the broker's configuration with -c`
        : `this user cannot read ${file} (${code}): run this command as the user that runs the broker`;
    return { ...(await listedToken(http)), why };
  }
}

/** Finds a token of `http.tokens` that this user can read: an operator's, else one that only reads. */
async function listedToken({
  tokens,
}: Config['http']): Promise<Pick<FoundToken, 'token' | 'from'>> {
  const { readToken } = await import('../../config/io/token-files.js');
  for (const role of ['operate', 'read']) {
    for (const each of tokens) {
      if (each.role !== role) continue;
      try {
        const token = readToken(each)[0]?.secret ?? null;
        return { token, from: `${each.name} in http.tokens of the configuration` };
      } catch {
        // The file is for other users.
      }
    }
  }
  return { token: null };
}
