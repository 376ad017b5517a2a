import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { readPrivateFile } from '../../../src/config/io/private-file.js';

let directory = '';
let file = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mdp-private-'));
  file = join(directory, 'secret');
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

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
    expect(() => readPrivateFile(file, 'this token', 5)).toThrow(
      `${file}: other users can read this token (mode 0644): chmod 600 ${file}`,
    );
  });

  it('is refused if it is absent or a directory', () => {
    expect(() => readPrivateFile(file, 'it', 5)).toThrow(`${file}: no such file`);
    mkdirSync(file, { mode: 0o700 });
    expect(() => readPrivateFile(file, 'it', 5)).toThrow('cannot be read (EISDIR)');
  });
});
