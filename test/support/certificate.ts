/** A self-signed certificate, made by openssl. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  /** The certificate itself. */
  readonly pem: string;
}

/**
 * @param name its subject, also used for file names
 * @param addresses its further subjects
 */
export function makeCertificate(
  directory: string,
  name: string,
  addresses: readonly string[] = ['127.0.0.1'],
  days = 2,
): Certificate {
  const certFile = join(directory, `${name}.crt`);
  const keyFile = join(directory, `${name}.key`);
  const names = [`DNS:${name}`, ...addresses.map((address) => `IP:${address}`)].join();
  const how = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const what = ['-days', `${days}`, '-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`];
  execFileSync('openssl', ['req', ...how, ...what, '-keyout', keyFile, '-out', certFile], {
    stdio: 'ignore',
  });
  return { certFile, keyFile, pem: readFileSync(certFile, 'latin1') };
}
