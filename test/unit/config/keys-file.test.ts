import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';

import { readKeysFile } from '../../../src/config/io/keys-file.js';
import { readSecretKey } from '../../../src/config/io/secret-key.js';
import { codeOf, messageOf } from '../../../src/core/errors.js';
import { encodeZ85 } from '../../../src/core/z85.js';

const ALICE = 'Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID';
const BOB = 'JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6';

let folder = '';
let file = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mdp-keys-'));
  file = join(folder, 'keys.yaml');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function errorOf(read: () => unknown): unknown {
  try {
    read();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** What is wrong with this text, each with its line and column. */
function problems(text: string): string[] {
  writeFileSync(file, text);
  const error = errorOf(() => readKeysFile(file));
  expect(codeOf(error)).toBe('ERR_CONFIG_INVALID');
  return messageOf(error).replaceAll(`${file}:`, '').split('\n');
}

describe('keysFile (docs/configuration.md)', () => {
  /** The entries of this text, without places and keys. */
  function read(text: string, quotas?: readonly string[]): unknown[] {
    writeFileSync(file, text);
    return readKeysFile(file, quotas).map(({ publicKeys, place: _, ...entry }) => ({
      ...entry,
      publicKeys: publicKeys.map((key) => encodeZ85(key)),
    }));
  }

  const nothing = { client: [], worker: [], peer: false, operator: false, quota: null };
  const all = { ...nothing, client: ['*'], worker: ['*'] };

  it('has no name that stands for a token of HTTP', () => {
    expect(problems(`- {name: 'token:shop', publicKey: '${ALICE}'}`)).toEqual([
      '1:10: [0].name: names that begin with token: belong to http.tokens',
    ]);
  });

  it('has who comes in, and for what (D72)', () => {
    const text = `- name: alice
  publicKey: '${ALICE}'
  client: [render.*, "a?"]
  worker: []
  operator: true
  quota: batch
- {name: bob, publicKey: '${BOB}', worker: [echo], peer: true}
`;
    expect(read(text, ['batch'])).toEqual([
      {
        ...nothing,
        name: 'alice',
        publicKeys: [ALICE],
        client: ['render.*', 'a?'],
        operator: true,
        quota: 'batch',
      },
      {
        ...nothing,
        name: 'bob',
        publicKeys: [BOB],
        worker: ['echo'],
        peer: true,
      },
    ]);
  });

  it('has a short form of both, for all services unless it names some', () => {
    const entry = (more: string): unknown => read(`- {name: a, publicKey: '${ALICE}'${more}}`)[0];
    const rights = { name: 'a', publicKeys: [ALICE] };
    expect(entry(', allow: [client, peer]')).toEqual({
      ...nothing,
      ...rights,
      client: ['*'],
      peer: true,
    });
    expect(entry(', allow: [client, worker], services: [b, "c*"]')).toEqual({
      ...nothing,
      ...rights,
      client: ['b', 'c*'],
      worker: ['b', 'c*'],
    });
    expect(entry(', allow: []')).toEqual({ ...nothing, ...rights });
    expect(entry(', allow: [worker], client: [b]')).toEqual({
      ...nothing,
      ...rights,
      client: ['b'],
      worker: ['*'],
    });
  });

  it('lets one that names no role do everything but be a peer or an operator', () => {
    const rights = { name: 'a', publicKeys: [ALICE] };
    expect(read(`- {name: a, publicKey: '${ALICE}'}`)).toEqual([{ ...all, ...rights }]);
    expect(read(`- {name: a, publicKey: '${ALICE}', services: [b]}`)).toEqual([
      { ...nothing, ...rights, client: ['b'], worker: ['b'] },
    ]);
    expect(read(`- {name: a, publicKey: '${ALICE}', peer: true, operator: true}`)).toEqual([
      { ...all, ...rights, peer: true, operator: true },
    ]);
  });

  it('has two keys under a name while one is being replaced by the other', () => {
    expect(read(`- {name: a, publicKey: ['${ALICE}', '${BOB}']}`)).toMatchObject([
      { name: 'a', publicKeys: [ALICE, BOB] },
    ]);
    const want = 'expected one public key, or two during a replacement';
    expect(problems(`- {name: a, publicKey: []}`)).toEqual([`1:24: [0].publicKey: ${want}`]);
    expect(problems(`- {name: a, publicKey: ['${ALICE}', '${ALICE}']}`)).toEqual([
      '1:69: [0].publicKey[1]: is given twice, first at 1:25',
    ]);
  });

  it('says what a role in both forms would leave open', () => {
    const entry = `- {name: a, publicKey: '${ALICE}'`;
    expect(problems(`${entry}, allow: [client, peer], client: [b], peer: false}`)).toEqual([
      '1:99: [0].client: is also in allow: remove client from allow, or use only allow ' +
        'and services',
      '1:110: [0].peer: is also in allow',
    ]);
    expect(problems(`${entry}, services: [b], worker: [c]}`)).toEqual([
      '1:78: [0].services: has no effect without allow: remove services; client and worker already list services',
    ]);
  });

  it('knows the quotas of the configuration', () => {
    const entry = `- {name: a, publicKey: '${ALICE}', quota: batsh}`;
    writeFileSync(file, entry);
    expect(messageOf(errorOf(() => readKeysFile(file, ['batch', 'web'])))).toBe(
      `${file}:1:75: [0].quota: expected a name of limits.quotas, which has batch, web; ` +
        'got "batsh"; did you mean batch',
    );
  });

  it.each(['', '# nobody yet\n', '[]'])('may be empty: nobody comes in (%p)', (text) => {
    writeFileSync(file, text);
    expect(readKeysFile(file)).toEqual([]);
  });

  it('is told everything that is wrong with it at once, and no key is shown', () => {
    const text =
      `- {name: alice, publicKey: '${ALICE}', alow: [client]}\n` +
      `- {name: alice, publicKey: '${BOB}', allow: [clinet]}\n` +
      `- {name: carol, publicKey: '${ALICE}', allow: client}\n` +
      `- {name: "d d", publicKey: 12, services: [1]}\n` +
      '- {publicKey: short}\n' +
      '- dave\n';
    const wrong = problems(text);
    expect(wrong).toEqual([
      '1:72: [0].alow: unknown key; did you mean allow',
      '2:10: [1].name: is given twice, first at 1:10',
      '2:80: [1].allow[0]: expected a list of client, worker, peer, got "clinet"; did you mean client',
      '3:28: [2].publicKey: is given twice, first at 1:28',
      '3:79: [2].allow: expected a list of client, worker, peer, got "client"',
      '4:10: [3].name: expected 1 to 64 printable characters without spaces',
      '4:28: [3].publicKey: expected a public key: 32 bytes in Z85, 40 characters in quotes',
      '4:43: [3].services[0]: expected a name of 1 to 255 characters, * and ? allowed (escape bytes as ' +
        '%2A, and % as %25), got 1',
      '5:3: [4].name: expected 1 to 64 printable characters without spaces',
      '5:15: [4].publicKey: expected a public key: 32 bytes in Z85, 40 characters in quotes',
      '6:3: [5]: expected {name, publicKey, client, worker, peer, operator, quota}, got "dave"',
    ]);
    expect(wrong.join('')).not.toContain(ALICE);
  });

  it('is a list', () => {
    expect(problems('alice: {}')).toEqual([
      '1:1: expected a list of {name, publicKey, client, worker, peer, operator, quota}, got a map',
    ]);
  });

  it('that cannot be read says why', () => {
    expect(codeOf(errorOf(() => readKeysFile(join(folder, 'none'))))).toBe('ERR_CONFIG_FILE');
    expect(codeOf(errorOf(() => readKeysFile(folder)))).toBe('ERR_CONFIG_FILE');
  });

  it('has room for ten thousand keys', () => {
    const bytes = Buffer.alloc(32);
    const lines = Array.from({ length: 10_000 }, (_, index) => {
      bytes.writeUInt32BE(index);
      return `- {name: k${index}, publicKey: '${encodeZ85(bytes)}'}`;
    });
    writeFileSync(file, lines.join('\n'));
    expect(readKeysFile(file)).toHaveLength(10_000);
  });

  it('of any text gives a list or a coded error', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        writeFileSync(file, text);
        const error = errorOf(() => readKeysFile(file));
        expect(['ERR_CONFIG_INVALID', undefined]).toContain(codeOf(error));
      }),
      { numRuns: 200 },
    );
  });
});

describe('a keys file', () => {
  it('to which everybody may write is refused; its group may', () => {
    writeFileSync(file, '');
    chmodSync(file, 0o664);
    expect(readKeysFile(file)).toEqual([]);
    chmodSync(file, 0o666);
    const error = errorOf(() => readKeysFile(file));
    expect(codeOf(error)).toBe('ERR_CONFIG_FILE');
    expect(messageOf(error)).toContain('chmod o-w');
  });
});

describe('a file with a secret key', () => {
  /** As `majordomo keygen`, CZMQ and pyzmq write it. */
  it.each([
    ['alone', BOB],
    [
      'in a certificate of CZMQ',
      `#   DO NOT PROVIDE THIS FILE TO OTHER USERS nor change its permissions.
metadata
    name = "${'n'.repeat(300)}"
    email = "bob@example.com"
curve
    public-key = "${ALICE}"
    secret-key = "${BOB}"
`,
    ],
    [
      'in a certificate of pyzmq',
      `curve\n    public-key = "${ALICE}"\n    secret-key = "${BOB}"\n`,
    ],
    [
      'that a comment follows, in lines that end with CR LF',
      `curve # its keys\r\n\r\n# both\r\n    public-key = "${ALICE}"\r\n    secret-key = "${BOB}" # mine\r\n`,
    ],
    [
      'below a line of the section that has a value',
      `curve = "x" # why not\n    public-key = "${ALICE}"\n    secret-key = "${BOB}"\n`,
    ],
    ['below a value without blanks', `curve=x\r\n    secret-key = "${BOB}"\r\n`],
    [
      'beside one of that name in another section',
      `metadata\n    secret-key = "${ALICE}"\ncurve\n    secret-key = "${BOB}"\nmore\n    secret-key = "${ALICE}"\n`,
    ],
  ])('gives the key %s', (_, text) => {
    writeFileSync(file, text, { mode: 0o600 });
    expect(encodeZ85(readSecretKey(file))).toBe(BOB);
  });

  it('that is the public half of a certificate is refused', () => {
    writeFileSync(file, `curve\n    public-key = "${ALICE}"\n`, { mode: 0o600 });
    expect(messageOf(errorOf(() => readSecretKey(file)))).toContain('has no secret key');
  });

  it('that a certificate has in another section only is refused', () => {
    const text = `curve\n    public-key = "${ALICE}"\nmetadata\n    secret-key = "${BOB}"\n`;
    writeFileSync(file, text, { mode: 0o600 });
    expect(messageOf(errorOf(() => readSecretKey(file)))).toContain('has no secret key');
  });

  it('that a certificate has in a section of a similar name only is refused', () => {
    for (const name of ['curves', 'curve-old = x', 'no curve = x']) {
      writeFileSync(file, `${name}\n    secret-key = "${BOB}"\n`, { mode: 0o600 });
      expect(messageOf(errorOf(() => readSecretKey(file)))).toContain('has no secret key');
    }
  });

  it.each([0o440, 0o640])('that belongs to root may be read by its group (%o)', (mode) => {
    writeFileSync(file, BOB);
    chmodSync(file, mode);
    if (process.getuid?.() === 0) expect(encodeZ85(readSecretKey(file))).toBe(BOB);
    else expect(codeOf(errorOf(() => readSecretKey(file)))).toBe('ERR_CONFIG_FILE');
  });

  it.each([0o604, 0o660, 0o610, 0o777])('that others may open (%o) is refused', (mode) => {
    writeFileSync(file, `${BOB}\n`);
    chmodSync(file, mode);
    const error = errorOf(() => readSecretKey(file));
    expect(codeOf(error)).toBe('ERR_CONFIG_FILE');
    expect(messageOf(error)).toContain(`chmod ${process.getuid?.() === 0 ? 640 : 600} ${file}`);
    expect(messageOf(error)).not.toContain(BOB);
  });

  it.each(['', 'short', `${BOB}${ALICE}`, `${BOB.slice(1)}"`])(
    'that has none is refused',
    (text) => {
      writeFileSync(file, text, { mode: 0o600 });
      expect(codeOf(errorOf(() => readSecretKey(file)))).toBe('ERR_CONFIG_FILE');
    },
  );

  it('that is absent is refused', () => {
    expect(messageOf(errorOf(() => readSecretKey(file)))).toBe(`${file}: no such file`);
  });
});
