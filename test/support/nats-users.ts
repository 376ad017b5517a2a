/** Users of a NATS server for tests: by NKEY, or by JWT, for which a server gets an operator. */
import { createAccount, createOperator, createUser, type KeyPair } from '@nats-io/nkeys';

const HEADER = { typ: 'JWT', alg: 'ed25519-nkey' };
const text = new TextDecoder();

/** A user of its own account, in the memory of the server. */
export interface NatsUser {
  /** For the configuration file of the server. */
  readonly config: string;
  /** The file of the user: its JWT and its seed. */
  readonly creds: string;
}

/** @param expiresAt of the user's JWT, in seconds since 1970; 0: never */
export function natsUser(expiresAt = 0): NatsUser {
  const [operator, account, user] = [createOperator(), createAccount(), createUser()];
  const ofOperator = signed(operator, operator, 'operator', {}, 0);
  const limits = { subs: -1, conn: -1, leaf: -1, imports: -1, exports: -1, data: -1, payload: -1 };
  const ofAccount = signed(operator, account, 'account', { limits }, 0);
  const rights = { pub: {}, sub: {}, subs: -1, data: -1, payload: -1 };
  const ofUser = signed(account, user, 'user', rights, expiresAt);
  return {
    config:
      `operator: ${ofOperator}\nresolver: MEMORY\n` +
      `resolver_preload: { ${account.getPublicKey()}: ${ofAccount} }\n`,
    creds: [
      ...['-----BEGIN NATS USER JWT-----', ofUser, '------END NATS USER JWT------', ''],
      ...['-----BEGIN USER NKEY SEED-----', seedOf(user), '------END USER NKEY SEED------', ''],
    ].join('\n'),
  };
}

/** A user that has an NKEY. */
export function nkeyUser(): { readonly publicKey: string; readonly seed: string } {
  const user = createUser();
  return { publicKey: user.getPublicKey(), seed: seedOf(user) };
}

function seedOf(pair: KeyPair): string {
  return text.decode(pair.getSeed());
}

function signed(
  issuer: KeyPair,
  subject: KeyPair,
  type: string,
  claims: object,
  expiresAt: number,
): string {
  const [iss, sub] = [issuer.getPublicKey(), subject.getPublicKey()];
  const times = {
    iat: Math.floor(Date.now() / 1000),
    ...(expiresAt === 0 ? {} : { exp: expiresAt }),
  };
  const body = { jti: sub, ...times, iss, name: type, sub, nats: { ...claims, type, version: 2 } };
  const content = [HEADER, body]
    .map((part) => encoded(Buffer.from(JSON.stringify(part))))
    .join('.');
  return `${content}.${encoded(Buffer.from(issuer.sign(Buffer.from(content))))}`;
}

function encoded(bytes: Buffer): string {
  return bytes.toString('base64url');
}
