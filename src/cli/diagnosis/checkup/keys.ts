/** Whether the files of CURVE keys can be used, and which keys they admit. */
import { statSync } from 'node:fs';

import type { Config } from '../../../config/config.js';
import { secretKeyFilesOf } from '../../../config/entries.js';
import { readKeysFile } from '../../../config/io/keys-file.js';
import { readSecretKey } from '../../../config/io/secret-key.js';
import { publishedBy } from '../../../config/publishers.js';
import { messageOf } from '../../../core/errors.js';
import { mayOthersUse, mayOthersWrite, privateRemedy } from '../../../core/private-file.js';
import { type Finding, ok, problem, warning } from '../../../core/finding.js';

const NAMES_SHOWN_MAX = 10;

/**
 * Two for each listener with CURVE, for each publisher and the pair's link: its own key, and the keys that it
 * admits.
 */
export function curveKeys(config: Config): readonly Finding[] {
  const { broker, bstar, limits } = config;
  const quotas = Object.keys(limits.quotas);
  const { role, listen, curve: ofPair } = bstar;
  const link =
    role === 'standalone' || listen === null || ofPair === null
      ? []
      : [{ endpoint: listen, curve: ofPair }];
  const published = publishedBy(config).map(({ listen: publisher }) => publisher);
  return [...broker.listen, ...published, ...link].flatMap(({ endpoint, curve }) =>
    curve === undefined
      ? []
      : [
          ...secretKeyFilesOf(curve).map((file) => secretKey(endpoint, file)),
          keysFile(endpoint, curve.keysFile, quotas),
        ],
  );
}

function secretKey(endpoint: string, file: string): Finding {
  const name = `secret key of ${endpoint}`;
  try {
    readSecretKey(file);
    return ok(name, file);
  } catch (error) {
    return problem(name, messageOf(error), `create one: majordomo keygen ${file}`);
  }
}

function keysFile(endpoint: string, file: string, quotas: readonly string[]): Finding {
  const name = `keys of ${endpoint}`;
  try {
    const entries = readKeysFile(file, quotas);
    const names = entries.map((entry) => entry.name);
    if (names.length === 0) {
      return warning(
        name,
        `${file} is empty: no key may connect`,
        'add an entry {name, publicKey, client, worker}',
      );
    }
    const stats = statSync(file);
    if (mayOthersWrite(stats.mode)) {
      const text = `${file} is writable by other users, who could add their own keys`;
      return problem(name, text, `chmod go-w ${file}`);
    }
    if (mayOthersUse(stats)) {
      const text = `${file}: every user of this machine can read it`;
      return warning(name, text, privateRemedy(stats, file));
    }
    const shown = names.slice(0, NAMES_SHOWN_MAX).join(', ');
    const left = names.length - NAMES_SHOWN_MAX;
    return ok(name, `${file}: ${shown}${left > 0 ? ` and ${left} more` : ''}`);
  } catch (error) {
    return problem(name, messageOf(error), 'docs/configuration.md has an example, under Listeners');
  }
}
