/** Reads the certificate of this server and its key. */
import { X509Certificate } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';

import { codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import { mayOthersUse, privateRemedy } from '../../core/private-file.js';

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

interface TlsSecrets {
  readonly cert: Buffer;
  readonly key: Buffer;
}

const FILE_BYTES_MAX = 1_048_576;

/**
 * Reads both files, and checks that they belong together.
 * @throws ERR_CONFIG_FILE
 */
export function readTls({ certFile, keyFile }: TlsFiles): TlsSecrets {
  const cert = fileOf('http.tls.certFile', certFile, false);
  const key = fileOf('http.tls.keyFile', keyFile, true);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const why = `not a PEM certificate with its key in ${keyFile}: ${messageOf(error)}`;
    throw refused('http.tls.certFile', certFile, why, error);
  }
  return { cert, key };
}

/** Tells the certificate from another one: SHA-256, as browsers and `openssl` show it. */
export function fingerprintOf({ cert }: TlsSecrets): string {
  return new X509Certificate(cert).fingerprint256;
}

function fileOf(name: string, file: string, isSecret: boolean): Buffer {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(file, 'r');
    // Asks about the open file, so that nobody can replace it in between.
    const stats = fstatSync(descriptor);
    if (isSecret && mayOthersUse(stats)) {
      throw refused(name, file, `other users can read it: ${privateRemedy(stats, file)}`);
    }
    if (stats.size > FILE_BYTES_MAX) throw refused(name, file, 'is over 1 MiB');
    return readFileSync(descriptor);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ERR_CONFIG_FILE') throw error;
    throw refused(name, file, `cannot be read (${code ?? 'unknown'})`, error);
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}

function refused(name: string, file: string, why: string, cause?: unknown): MajordomoError {
  return new MajordomoError('ERR_CONFIG_FILE', `${name} ${file}: ${why}`, {
    cause,
    details: { file },
  });
}
