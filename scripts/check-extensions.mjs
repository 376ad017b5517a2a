/**
 * Shows that the kernel needs no extension: without any, and their lines in src/extensions/{list,cli-commands}.ts, the
 * sources compile, and tests pass: one with a node on real sockets, and one that looks at the tables of a store. That it
 * needs none of them beside the others follows from what each may import (scripts/rooms.cjs).
 *
 *     npm run check:extensions             # that
 *     npm run check:extensions -- --all    # and compiles the sources without each in turn, and runs all tests of the kernel
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
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

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = join('src', 'extensions');
const COMPILER = join(ROOT, 'node_modules', '@typescript', 'native', 'bin', 'tsc');
/** The files that name each; `cli-commands` those with commands. */
const LISTS = ['list', 'cli-commands'];
const SHARED = ['node_modules', 'docs', 'packages', 'config', 'package.json'];
const COPIED = ['src', 'scripts', 'tsconfig.json', 'jest.config.js'];
const isAll = process.argv.includes('--all');
const KERNEL_TESTS = [
  ...(isAll
    ? ['test/machine/(broker|titanic|bstar|mmi)/', 'test/unit/(core|wire|broker|store)/']
    : []),
  ...['test/unit/store/tables', 'test/unit/docs/protocol'],
];

const all = readdirSync(join(ROOT, FOLDER), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

const work = mkdtempSync(join(tmpdir(), 'majordomo-extensions-'));
try {
  for (const name of isAll ? all : []) check([name], `without ${name}`);
  check(all, 'without any extension');
  testWithoutAny();
} finally {
  rmSync(work, { recursive: true, force: true });
}

function check(without, title) {
  const tree = treeOf(title);
  leaveOut(tree, without, '.ts');
  run(tree, title, 'node', COMPILER, '--noEmit', '--project', 'tsconfig.json');
  process.stdout.write(`${title}: the sources compile\n`);
}

/** Runs tests without any extension, on what `build:test` has compiled. */
function testWithoutAny() {
  const title = 'tests without any extension';
  const tree = treeOf(title);
  for (const name of ['build', 'test']) {
    cpSync(join(ROOT, name), join(tree, name), { recursive: true });
  }
  leaveOut(join(tree, 'build'), all, '.js');
  run(tree, title, 'node', 'scripts/test.mjs', ...KERNEL_TESTS);
}

function treeOf(title) {
  const tree = join(work, title.replaceAll(' ', '-'));
  mkdirSync(tree);
  for (const name of COPIED) cpSync(join(ROOT, name), join(tree, name), { recursive: true });
  for (const name of SHARED) symlinkSync(join(ROOT, name), join(tree, name));
  return tree;
}

function leaveOut(tree, names, suffix) {
  for (const list of LISTS) {
    const path = join(tree, FOLDER, list + suffix);
    let text = readFileSync(path, 'utf8');
    for (const name of names) {
      if (list === 'cli-commands' && !existsSync(join(tree, FOLDER, name, 'cli'))) continue;
      for (const part of [new RegExp(`^import .*'\\./${name}/.*\n`, 'm'), entryOf(name)]) {
        if (!part.test(text)) throw new Error(`${FOLDER}/${list}.ts: ${part} is not there`);
        text = text.replace(part, '');
      }
    }
    writeFileSync(path, text);
  }
  for (const name of names) rmSync(join(tree, FOLDER, name), { recursive: true });
}

/** Matches an entry of the array: `name,` or `name(),`, or the last one without the comma. */
function entryOf(name) {
  return new RegExp(`\\b${name}(\\(\\))?(,|(?=\\s*\\]))`);
}

function run(cwd, title, command, ...args) {
  const path = join(ROOT, 'node_modules', '.bin', command);
  const { status } = spawnSync(path, args, { cwd, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${title}: ${command} ended with status ${status}`);
}
