import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { codeOf } from '../../../src/core/errors.js';
import { encodeZ85 } from '../../../src/core/z85.js';
import { Curve } from '../../../src/sdk/index.js';
import { curveKeys } from '../../../src/sdk/option-reader.js';
import { loadSodium } from '../../../src/zmtp/curve/sodium.js';

const folder = mkdtempSync(join(tmpdir(), 'majordomo-curve-'));
// RFC 7748, 6.1.
const SECRET = Buffer.from(
  '77076d0a7318a57d3c16c17251b26645c6db6ee91d3d5f0a1a2b3c4d5e6f7081',
  'hex',
);
const serverKey = encodeZ85(Buffer.alloc(32, 7));
let publicKey: Buffer;

beforeAll(async () => {
  publicKey = (await loadSodium()).publicKeyOf(SECRET);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function written(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

const CERTIFICATE = `metadata
    name = "billing"
curve
    public-key = "${serverKey}"
    secret-key = "${encodeZ85(SECRET)}"
`;

describe('the keys of a program', () => {
  it.each([
    ['of keygen', `${encodeZ85(SECRET)}\n`, `${serverKey}\n`],
    ['that are certificates', CERTIFICATE, CERTIFICATE.replace(/.*secret-key.*\n/, '')],
  ])('come from files %s; the public key is derived', (_, own, ofBroker) => {
    const curve = Curve.fromFile(written('own', own), written('broker', ofBroker));
    expect(curve).toEqual({ serverKey: Buffer.alloc(32, 7), secretKey: SECRET });
    expect(curveKeys(curve)).toEqual({
      serverKey: Buffer.alloc(32, 7),
      publicKey,
      secretKey: SECRET,
    });
  });

  it("come with the broker's key itself, too", () => {
    const file = written('own', encodeZ85(SECRET));
    expect(Curve.fromFile(file, serverKey).serverKey).toEqual(Buffer.alloc(32, 7));
  });

  it.each([
    ['of keygen', 'secret', encodeZ85(SECRET), 'secret.pub'],
    ['that is a certificate', 'cert.key_secret', CERTIFICATE, 'cert.key'],
  ])('are not a secret one of the broker: %s', (_, name, text, beside) => {
    const own = written('own', encodeZ85(SECRET));
    const file = written(name, text);
    written('secret.pub', encodeZ85(publicKey));
    expect(() => Curve.fromFile(own, file)).toThrow(
      `${file} has a secret key: give the broker's public one, ${join(folder, beside)}`,
    );
  });

  it("need the broker's key", () => {
    const fromFile = Curve.fromFile as (file: string) => unknown;
    expect(() => fromFile(written('own', encodeZ85(SECRET)))).toThrow(
      "curve needs the broker's public key, or a file with it, as second argument",
    );
  });

  it('are the given ones where the public key is given', () => {
    const given = { serverKey, secretKey: SECRET, publicKey: Buffer.alloc(32, 9) };
    expect(curveKeys(given)?.publicKey).toEqual(Buffer.alloc(32, 9));
  });

  it.each([
    ['no file', () => join(folder, 'absent'), /^curve cannot be read: ENOENT/],
    ['no key', () => written('text', 'text'), /^curve .*text has no secret key$/],
    [
      'a public key alone',
      () => written('public', CERTIFICATE.replace(/.*secret-key.*\n/, '')),
      /has no secret key$/,
    ],
  ])('are no keys: %s', (_, file, says) => {
    let error: unknown = null;
    try {
      Curve.fromFile(file(), serverKey);
    } catch (thrown) {
      error = thrown;
    }
    expect(codeOf(error)).toBe('ERR_MDP_OPTION');
    expect((error as Error).message).toMatch(says);
  });
});
