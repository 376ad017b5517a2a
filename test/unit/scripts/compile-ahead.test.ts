import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, expect, it } from '@jest/globals';

const PROGRAM = fileURLToPath(new URL('../../../program', import.meta.url));
/** As scripts/load.cjs loads a module. */
const LOADED = `
  const { readFileSync, readdirSync } = require('node:fs');
  const vm = require('node:vm');
  const [, folder] = process.argv;
  const rejected = readdirSync(folder).filter((name) => name.endsWith('.compiled')).map((name) => {
    const cachedData = readFileSync(folder + '/' + name);
    const source = readFileSync(folder + '/' + name.replace(/\\.v.*$/, ''), 'latin1');
    const importModuleDynamically = vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER;
    return new vm.Script(source, { cachedData, importModuleDynamically }).cachedDataRejected;
  });
  process.stdout.write(JSON.stringify(rejected));
`;
/** V8 then rejects what was compiled without it. */
const OTHER_FLAG = '--max-inlined-bytecode-size=2000';

let root: string;

const node = (...args: string[]): string =>
  execFileSync(process.execPath, args, { encoding: 'utf8', env: { PATH: '' } });
const rejected = (...flags: string[]): unknown =>
  JSON.parse(node(...flags, '-e', LOADED, join(PROGRAM, 'code')));

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'majordomo-compiled-'));
  cpSync(PROGRAM, join(root, 'dist'), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{"version":"1.2.3","engines":{"node":">=22.17"}}');
});

afterAll(() => {
  rmSync(root, { recursive: true });
});

it('V8 takes all that this Node.js compiled ahead, with the flags of a start, and nothing of another', () => {
  const own = `.${process.version}-${process.arch}.compiled`;
  const isOwn = readdirSync(join(PROGRAM, 'code')).some((name) => name.endsWith(own));
  const all = rejected() as boolean[];
  expect(all.length).toBeGreaterThan(5);
  expect(all).not.toContain(isOwn);
});

it('a start with other flags does without it', () => {
  expect(rejected(OTHER_FLAG)).not.toContain(false);
  expect(node(OTHER_FLAG, join(PROGRAM, 'main.js'), '-V')).toMatch(/^\d+\.\d+\.\d+\n$/);
});

it.each(['', 'not what V8 has written'])('a start does without a file that has %j', (text) => {
  const code = join(root, 'dist', 'code');
  for (const name of readdirSync(code)) {
    if (name.endsWith('.compiled')) writeFileSync(join(code, name), text);
  }
  expect(node(join(root, 'dist', 'main.js'), '-V')).toBe('1.2.3\n');
});
