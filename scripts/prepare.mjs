/**
 * The `prepare` and `prepack` scripts of both packages: builds dist/ and packages/sdk/dist unless they are newer
 * than their sources, so that `npm ci` and `npm pack` of both build once. npm also runs it when a program installs
 * the clone's folder or a git URL. The types are not checked here (`npm run check:types` does).
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/[/\\]$/, '');
const SOURCES = [
  ...['src', 'scripts', 'packages/sdk/package.json', 'tsconfig.json', 'tsconfig.page.json'],
  // The program has packages inside.
  'package-lock.json',
];
/** The last file that each step of the build writes. */
const BUILT = ['dist/main.js', 'packages/sdk/dist/index.d.cts'].map((path) => join(ROOT, path));
const COMPILER = '@typescript/native/package.json';
const TOOLS = [COMPILER, 'rolldown'];

function changedMs(path) {
  const { mtimeMs } = statSync(path);
  if (!statSync(path).isDirectory()) return mtimeMs;
  const paths = readdirSync(path, { recursive: true });
  return paths.reduce((last, name) => Math.max(last, statSync(join(path, name)).mtimeMs), mtimeMs);
}

function isCurrent() {
  // An unpacked package was built before it was packed, and has no sources.
  if (!existsSync(join(ROOT, 'src'))) return true;
  if (!BUILT.every(existsSync)) return false;
  const changed = Math.max(...SOURCES.map((path) => changedMs(join(ROOT, path))));
  return BUILT.every((path) => statSync(path).mtimeMs > changed);
}

function isInstalled(tool) {
  try {
    createRequire(import.meta.url).resolve(tool);
    return true;
  } catch {
    return false;
  }
}

function run(...args) {
  const { status } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

function build() {
  const tsc = join(dirname(createRequire(import.meta.url).resolve(COMPILER)), 'bin', 'tsc');
  run('scripts/sync-compiled.mjs', 'compiled', 'src');
  run(tsc, '-p', 'tsconfig.page.json', '--noCheck');
  run(tsc, '-p', 'tsconfig.json', '--noCheck');
  run('scripts/bundle.mjs', 'compiled', 'dist');
  run('scripts/build-sdk.mjs');
  // Where it cannot run (a native module is missing), the build is whole without it.
  spawnSync(process.execPath, ['scripts/compile-ahead.mjs', 'dist'], {
    cwd: ROOT,
    stdio: 'inherit',
  });
}

if (!isCurrent()) {
  if (TOOLS.every(isInstalled)) {
    build();
  } else if (!BUILT.every(existsSync)) {
    console.error(
      `majordomo-broker in ${ROOT} is not built, and the tools that build it are not installed.\n` +
        `Run "npm ci" there, then install it again.`,
    );
    process.exitCode = 1;
  }
}
