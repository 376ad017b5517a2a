import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../../program', import.meta.url));
const CODE = join(PROGRAM, 'code');
const { compiledOf } = createRequire(import.meta.url)(join(PROGRAM, 'load.js')) as {
  readonly compiledOf: (filename: string) => Buffer | undefined;
};
/** As scripts/load.cjs loads a module. */
const LOADED = `
  const { readFileSync, readdirSync } = require('node:fs');
  const vm = require('node:vm');
  const [, program] = process.argv;
  const { compiledOf } = require(program + '/load.js');
  const files = readdirSync(program + '/code').filter((name) => name.endsWith('.compiled'));
  const rejected = files.map((name) => {
    const filename = program + '/code/' + name.replace(/\\.v.*$/, '');
    const importModuleDynamically = vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER;
    const options = { cachedData: compiledOf(filename), importModuleDynamically };
    return new vm.Script(readFileSync(filename, 'latin1'), options).cachedDataRejected;
  });
  process.stdout.write(JSON.stringify(rejected));
`;
/** V8 then rejects what was compiled without it. */
const OTHER_FLAG = '--max-inlined-bytecode-size=2000';

let root: string;

const node = (...args: string[]): string =>
  execFileSync(process.execPath, args, { encoding: 'utf8', env: { PATH: '' } });
const rejected = (...flags: string[]): unknown => JSON.parse(node(...flags, '-e', LOADED, PROGRAM));

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'majordomo-compiled-'));
  cpSync(PROGRAM, join(root, 'dist'), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{"version":"1.2.3","engines":{"node":">=22.17"}}');
});

afterAll(() => rmSync(root, { recursive: true }));

it('V8 takes all that this Node.js compiled ahead, with the flags of a start, and nothing of another', () => {
  const own = `.${process.version}-${process.arch}.compiled`;
  const isOwn = readdirSync(join(PROGRAM, 'code')).some((name) => name.endsWith(own));
  const all = rejected() as boolean[];
  expect(all.length).toBeGreaterThan(5);
  expect(all).not.toContain(isOwn);
});

it('the rows and the defaults of the configuration are data in the program', () => {
  const texts = readdirSync(CODE)
    .filter((name) => /^serve-.*\.js$/.test(name))
    .map((name) => readFileSync(join(CODE, name), 'latin1'));
  const all = texts.join('');
  const isData = (name: string): boolean =>
    new RegExp(`\\b${name}\\S* = JSON\\.parse\\(`).test(all);
  expect(['SECTIONS', 'DEFAULTS'].filter((name) => !isData(name))).toEqual([]);
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

describe('what V8 compiled of a module', () => {
  const [made = '', other = ''] = readdirSync(CODE).filter((name) => name.endsWith('.compiled'));
  const whole = readFileSync(join(CODE, made));
  const name = made.replace(/\.v.*$/, '');
  // (On another Node than it was made with, too.)
  const ending = `.${process.version}-${process.arch}.compiled`;
  const file = (): string => join(root, name);
  const kept = (bytes: Buffer): Buffer | undefined => {
    writeFileSync(file() + ending, bytes);
    return compiledOf(file());
  };

  it('is given to V8 as it was made, without its checksum', () => {
    expect(kept(whole)).toEqual(whole.subarray(0, -4));
  });

  it('is not, if any byte is another', () => {
    for (let at = 0; at < whole.length; at += at < 64 ? 1 : 997) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      expect([at, kept(damaged)]).toEqual([at, undefined]);
    }
    for (let back = 1; back <= 4; back++) {
      const damaged = Buffer.from(whole);
      damaged[damaged.length - back] = (damaged.at(-back) ?? 0) ^ 1;
      expect([back, kept(damaged)]).toEqual([back, undefined]);
    }
  });

  it.each([0, 1, 3, 4, 100, -1])('is not, if the file ends at %i', (end) => {
    expect(kept(whole.subarray(0, end))).toBeUndefined();
  });

  it('is not, if it is that of another module', () => {
    expect(kept(readFileSync(join(CODE, other)))).toBeUndefined();
  });
});
