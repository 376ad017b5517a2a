/** The tokens of HTTP, whose secrets may be in files. */
import { type NamedSecret, secretsOf, type TokenConfig } from '../entries.js';
import { secret } from '../kinds.js';
import { readSecrets } from './private-file.js';

/** The largest size of a file: two secrets with their line ends. */
const BYTES_MAX = 2 * 512 + 16;
const WRONG =
  'does not contain a token of 16 to 512 printable characters without spaces, or two on two lines';

/** The secrets of an entry of `http.tokens`. @throws ERR_CONFIG_FILE if a file of it has none, or others can read it */
export function readToken({ name, role, token, tokenFile }: TokenConfig): NamedSecret[] {
  const secrets = tokenFile === null ? secretsOf(token) : [tokenFile].flat().flatMap(readTokenFile);
  return secrets.map((each) => ({ name, role, secret: each }));
}

/** The secrets in a file of tokens, the current one first. @throws ERR_CONFIG_FILE */
export function readTokenFile(file: string): readonly string[] {
  return readSecrets(
    file,
    BYTES_MAX,
    (line) => (secret.safeParse(line).success ? line : null),
    WRONG,
  );
}
