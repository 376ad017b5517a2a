/**
 * The files that a configuration names: `serve` reads them before it serves, and ends with 78 if it cannot use one, so
 * `check` does.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { type ListenerCurveConfig, secretKeyFilesOf } from '../../config/entries.js';
import type { Loaded } from '../../config/io/load.js';
import { readPrivateFile, refusedFile } from '../../config/io/private-file.js';
import { MAKES, readSecretKey, withRemedy } from '../../config/io/secret-key.js';
import { readTokenFile } from '../../config/io/token-files.js';
import type { Problem } from '../../config/problem.js';
import { publishedBy } from '../../config/publishers.js';
import { nearestAt, pathText, type Path } from '../../config/tree.js';
import { causeOf, codeOf, messageOf } from '../../core/errors.js';
import { TOKEN_FILE } from '../../core/private-file.js';

/** More than any secret has. */
const SECRET_BYTES_MAX = 1_048_576;

/** Another user reads it, as which the broker runs: then it can tell nothing. */
export function isForOthers(error: unknown): boolean {
  return codeOf(causeOf(error)) === 'EACCES';
}

/**
 * Reads each file but the keys files.
 * @param refused called for each that cannot be used
 */
export function readNamedFiles(
  { config, written }: Loaded,
  refused: (problem: Problem, error: unknown) => void,
): void {
  const { broker, bstar, fleet, http, node, titanic } = config;
  const read = (path: Path, file: string | null, how: (file: string) => unknown): void => {
    if (file === null) return;
    try {
      how(file);
    } catch (error) {
      const { place } = nearestAt(written, path).origin;
      refused({ place, path: pathText(path), message: messageOf(error) }, error);
    }
  };
  const keys = (path: Path, curve: ListenerCurveConfig | undefined, makes: string): void => {
    for (const each of curve === undefined ? [] : secretKeyFilesOf(curve)) {
      read([...path, 'curve', 'secretKeyFile'], each, () =>
        withRemedy(makes, () => readSecretKey(each)),
      );
    }
  };
  for (const [at, { curve }] of broker.listen.entries()) {
    keys(['broker', 'listen', at], curve, MAKES.listener);
  }
  for (const { section, listen } of publishedBy(config)) {
    keys([section, 'listen'], listen.curve, MAKES.listener);
  }
  if (bstar.role !== 'standalone') keys(['bstar'], bstar.curve ?? undefined, MAKES.pair);
  read(['titanic', 'storePasswordFile'], titanic.storePasswordFile, secretIn);
  read(['fleet', 'natsCredsFile'], fleet.natsCredsFile, secretIn);
  if (http.listen === 'off') return;
  const own = join(node.dataDir, TOKEN_FILE);
  if (http.token === null && existsSync(own)) read(['node', 'dataDir'], own, readTokenFile);
  for (const [at, token] of http.tokens.entries()) {
    for (const file of [token.tokenFile ?? []].flat()) {
      read(['http', 'tokens', at, 'tokenFile'], file, readTokenFile);
    }
  }
  read(['http', 'webhookSecretFile'], http.webhookSecretFile, secretIn);
  read(['http', 'tls', 'certFile'], http.tls?.certFile ?? null, certificateIn);
  read(['http', 'tls', 'keyFile'], http.tls?.keyFile ?? null, secretIn);
}

function secretIn(file: string): string {
  return readPrivateFile(file, 'this secret', SECRET_BYTES_MAX);
}

function certificateIn(file: string): X509Certificate {
  try {
    return new X509Certificate(readFileSync(file));
  } catch (error) {
    throw refusedFile(file, codeOf(error) === 'ENOENT' ? 'no such file' : messageOf(error), error);
  }
}
