/** The tokens of `http.tokens`, whose texts may be in files. */
import type { TokenConfig, TokenRole } from '../config.js';
import { secret } from '../kinds.js';
import { readPrivateFile, refusedFile } from './private-file.js';

export interface ReadToken {
  readonly name: string;
  readonly role: TokenRole;
  readonly token: string;
}

const BYTES_MAX = 1024;

/** @throws ERR_CONFIG_FILE if its file has none, or others can read it */
export function readToken({ name, role, token, tokenFile }: TokenConfig): ReadToken {
  if (tokenFile === null) return { name, role, token: token ?? '' };
  const text = readPrivateFile(tokenFile, 'this token', BYTES_MAX);
  if (secret.safeParse(text).success) return { name, role, token: text };
  const why = 'does not contain a token of 16 to 512 printable characters without spaces';
  throw refusedFile(tokenFile, why);
}
