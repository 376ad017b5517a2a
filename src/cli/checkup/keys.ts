/** Whether the files of CURVE keys can be used, and whose keys come in. */
import type { Config } from '../../config/config.js';
import { readKeysFile } from '../../config/io/keys-file.js';
import { readSecretKey } from '../../config/io/secret-key.js';
import { messageOf } from '../../core/errors.js';
import { type Finding, ok, problem, warning } from './finding.js';

const NAMES_SHOWN_MAX = 10;

/** Two for each listener with CURVE, the link of the pair too: its own key, the list of the others. */
export function curveKeys({ broker, bstar }: Pick<Config, 'broker' | 'bstar'>): readonly Finding[] {
  const { role, listen, curve: ofPair } = bstar;
  const link =
    role === 'standalone' || listen === null || ofPair === null
      ? []
      : [{ endpoint: listen, curve: ofPair }];
  return [...broker.listen, ...link].flatMap(({ endpoint, curve }) =>
    curve === undefined
      ? []
      : [secretKey(endpoint, curve.secretKeyFile), keysFile(endpoint, curve.keysFile)],
  );
}

function secretKey(endpoint: string, file: string): Finding {
  const name = `secret key of ${endpoint}`;
  try {
    readSecretKey(file);
    return ok(name, file);
  } catch (error) {
    return problem(name, messageOf(error), `majordomo keygen ${file} makes one`);
  }
}

function keysFile(endpoint: string, file: string): Finding {
  const name = `keys of ${endpoint}`;
  try {
    const names = readKeysFile(file).map((entry) => entry.name);
    if (names.length === 0) {
      return warning(name, `${file} is empty: nobody comes in`, 'add {name, publicKey, allow}');
    }
    const shown = names.slice(0, NAMES_SHOWN_MAX).join(', ');
    const left = names.length - NAMES_SHOWN_MAX;
    return ok(name, `${file}: ${shown}${left > 0 ? ` and ${left} more` : ''}`);
  } catch (error) {
    return problem(name, messageOf(error), 'docs/configuration.md shows one, under Listeners');
  }
}
