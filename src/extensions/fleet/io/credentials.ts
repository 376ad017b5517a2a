/** What a file of credentials for NATS holds (`fleet.natsCredsFile`). */

/** `creds`: a JWT and its key. `seed`: an NKEY. */
export interface Credentials {
  readonly kind: 'creds' | 'seed';
  readonly bytes: Buffer;
}

/** Maximum size of the file. A JWT with many rights has some kilobytes. */
export const CREDENTIALS_BYTES_MAX: number = 64 * 1024;
/** For the message about a text that holds none. */
export const NO_CREDENTIALS =
  'holds neither the .creds of a NATS user nor the seed of an NKEY (SU…)';

const SEED = /^SU[A-Z2-7]{56}$/;
const JWT_PART = /^-+BEGIN NATS USER JWT-+\s+\S+\s+-+END [^\n]+-$/m;
const SEED_PART = /-BEGIN USER NKEY SEED-+\s+SU\S+\s+-+END [^\n]+-$/m;

/** @returns `null`: the text holds none */
export function credentialsOf(text: string): Credentials | null {
  if (SEED.test(text)) return { kind: 'seed', bytes: Buffer.from(text) };
  // The library finds only lines that end with a line feed alone.
  const lines = `${text.replaceAll('\r', '')}\n`;
  const jwt = JWT_PART.exec(lines);
  const isWhole = jwt !== null && SEED_PART.test(lines.slice(jwt.index));
  return isWhole ? { kind: 'creds', bytes: Buffer.from(lines) } : null;
}
