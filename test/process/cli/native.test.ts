import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { leastNode } from '../../../src/core/version.js';
import { run } from '../../support/child.js';

const BUILT = fileURLToPath(new URL('../../../program', import.meta.url));
const PACKAGE = fileURLToPath(new URL('../../../..', import.meta.url));
const MODULE = 'better-sqlite3';

let copy: string;

/** A copy of the program whose better-sqlite3 has no binary. */
beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'majordomo-native-'));
  cpSync(BUILT, join(copy, 'dist'), { recursive: true });
  cpSync(join(PACKAGE, 'package.json'), join(copy, 'package.json'));
  const modules = join(PACKAGE, 'node_modules');
  mkdirSync(join(copy, 'node_modules', MODULE), { recursive: true });
  for (const name of readdirSync(modules)) {
    if (name !== MODULE) symlinkSync(join(modules, name), join(copy, 'node_modules', name));
  }
  for (const part of ['lib', 'package.json']) {
    cpSync(join(modules, MODULE, part), join(copy, 'node_modules', MODULE, part), {
      recursive: true,
    });
  }
});

afterAll(() => rmSync(copy, { recursive: true }));

/** A Node.js that is too old would load better-sqlite3 and end with a segmentation fault. */
it('a Node.js that is older than package.json says is told so', async () => {
  const file = join(copy, 'package.json');
  const manifest = readFileSync(file, 'utf8');
  writeFileSync(file, manifest.replace(/"node": ">=[0-9.]+"/, '"node": ">=99.1"'));
  const program = join(copy, 'dist', 'main.js');
  const { status, stderr } = await run(['serve'], { program, directory: copy });
  writeFileSync(file, manifest);
  expect(stderr).toBe(`majordomo: Node.js ${process.version} is too old: install 99.1 or newer\n`);
  expect(status).toBe(78);
});

describe('a native module that does not load', () => {
  it.each([
    ['has no binary', `it has no binary for ${process.platform} on ${process.arch}`, 'serve'],
    ['is absent', "Cannot find module 'better-sqlite3'", 'verify'],
  ])('that %s ends with one sentence that says what to do', async (what, reason, command) => {
    if (what === 'is absent') rmSync(join(copy, 'node_modules', MODULE), { recursive: true });
    const program = join(copy, 'dist', 'main.js');
    const { status, stderr } = await run([command], { program, directory: copy });
    const start = `majordomo: better-sqlite3 does not load: ${reason}`;
    const end = `; install Majordomo again, with Node.js ${leastNode()} or newer\n`;
    expect([stderr.slice(0, start.length), stderr.slice(-end.length)]).toEqual([start, end]);
    expect(stderr.split('\n')).toHaveLength(2);
    expect(status).toBe(78);
  });
});
