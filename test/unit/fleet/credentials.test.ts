import { credentialsOf } from '../../../src/extensions/fleet/io/credentials.js';
import { natsUser, nkeyUser } from '../../support/nats-users.js';

describe('credentials for NATS', () => {
  it('are the seed of an NKEY, or the .creds of a user, which end with a line feed', () => {
    expect(credentialsOf(nkeyUser().seed)?.kind).toBe('seed');
    const { creds } = natsUser();
    for (const text of [creds, creds.trim(), creds.replaceAll('\n', '\r\n')]) {
      const found = credentialsOf(text.trim());
      expect(found?.kind).toBe('creds');
      expect(found?.bytes.toString()).toBe(`${creds.trim()}\n`);
    }
  });

  it('are neither a JWT without its seed nor anything else', () => {
    const { creds } = natsUser();
    expect(credentialsOf(creds.slice(0, creds.indexOf('-----BEGIN USER')).trim())).toBe(null);
    expect(credentialsOf('user:password')).toBe(null);
    expect(credentialsOf('')).toBe(null);
    expect(credentialsOf(nkeyUser().publicKey)).toBe(null);
  });
});
