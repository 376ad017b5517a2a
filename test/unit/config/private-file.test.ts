import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { readPrivateFile } from '../../../src/config/io/private-file.js';
import { mayOthersUse, privateRemedy } from '../../../src/core/private-file.js';

let directory = '';
let file = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mdp-private-'));
  file = join(directory, 'secret');
});

afterEach(() => rmSync(directory, { recursive: true }));

describe('a file with a secret', () => {
  it('gives its text, without spaces at the ends', () => {
    writeFileSync(file, ' abc\n', { mode: 0o600 });
    expect(readPrivateFile(file, 'it', 5)).toBe('abc');
  });

  it('is refused if it is larger than it may be, and is not read to its end', () => {
    writeFileSync(file, 'abcdef', { mode: 0o600 });
    expect(() => readPrivateFile(file, 'it', 5)).toThrow(`${file}: is larger than 5 bytes`);
    // It never ends.
    expect(() => readPrivateFile('/dev/zero', 'it', 5)).toThrow('/dev/zero');
  });

  it('is refused if others may read it, which the message says with its mode', () => {
    writeFileSync(file, 'abc');
    chmodSync(file, 0o644);
    // Root may give it to another user, to see both.
    if (process.getuid?.() === 0) chownSync(file, 65_534, 65_534);
    expect(() => readPrivateFile(file, 'this token', 5)).toThrow(
      `${file}: other users can read this token (mode 0644): chmod 600 ${file}`,
    );
  });

  it('of root is refused with a command that leaves it to its group', () => {
    expect(privateRemedy({ mode: 0o644, uid: 0 }, '/a/key')).toBe('chmod 640 /a/key');
    expect(mayOthersUse({ mode: 0o640, uid: 0 })).toBe(false);
    expect(privateRemedy({ mode: 0o640, uid: 1000 }, '/a/key')).toBe('chmod 600 /a/key');
    expect(mayOthersUse({ mode: 0o600, uid: 1000 })).toBe(false);
  });

  it('is refused if it is absent or a directory', () => {
    expect(() => readPrivateFile(file, 'it', 5)).toThrow(`${file}: no such file`);
    mkdirSync(file, { mode: 0o700 });
    expect(() => readPrivateFile(file, 'it', 5)).toThrow('cannot be read (EISDIR)');
  });
});
