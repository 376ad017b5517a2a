/**
 * Runs a command of package.json in a clone that is ready for it: `node scripts/ready.mjs COMMAND [ARGUMENT…]`.
 *
 * It installs the dependencies first if node_modules is missing or belongs to another package-lock.json.
 * Then it says which Node.js the command runs on: the one of packages/node, or this machine's where that
 * has no binary. It must run on the Node.js of an old machine, so it uses nothing that is new.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BIN = join(ROOT, 'node_modules', '.bin');

/** @returns {any} */
function json(path) {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
}

/** What to do about node_modules, as part of a sentence; `null` if it is what package-lock.json says. */
export function whyInstall(root = ROOT) {
  const installedFile = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installedFile)) return 'there is no complete node_modules';
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  const isOther = (path) => installed[path]?.version !== wanted[path]?.version;
  const isInModules = (path) => path.startsWith('node_modules/');
  // A package for another kind of machine is optional, and not installed. (A link is packages/node.)
  const isMissing = (path) =>
    !(path in installed) && wanted[path].optional !== true && wanted[path].link !== true;
  const differs =
    Object.keys(installed).some((path) => !(path in wanted) || isOther(path)) ||
    Object.keys(wanted).filter(isInModules).some(isMissing);
  return differs ? 'node_modules belongs to another package-lock.json' : null;
}

function isOlder(version, least) {
  const [a, b] = [version, least].map((text) => text.match(/\d+/g).map(Number));
  const at = a.findIndex((part, place) => part !== (b[place] ?? 0));
  return at !== -1 && a[at] < (b[at] ?? 0);
}

function hasOwnNode() {
  const { optionalDependencies } = json('packages/node/package.json');
  return `node-${process.platform}-${process.arch}` in optionalDependencies;
}

function fail(text) {
  console.error(text);
  process.exit(1);
}

function install(why) {
  console.error(`Installing the dependencies first, because ${why}: npm ci`);
  // Standard output is the command's own.
  const { status } = spawnSync('npm', ['ci'], { cwd: ROOT, stdio: [0, 2, 2] });
  if (status !== 0) fail('npm ci failed, see above. Nothing was started.');
}

/** @returns the version that the command will run on */
function checkNode(least) {
  const path = `${BIN}${delimiter}${process.env.PATH}`;
  const { stdout } = spawnSync('node', ['--version'], {
    env: { ...process.env, PATH: path },
    encoding: 'utf8',
  });
  const version = (stdout ?? '').trim();
  if (version === '' || isOlder(version, least)) tooOld(version, least);
  const isPinned = existsSync(join(BIN, 'node'));
  console.error(`Node.js ${version} (${isPinned ? 'from node_modules' : "this machine's"})`);
  return path;
}

function tooOld(version, least) {
  fail(
    `Majordomo needs Node.js ${least} or newer, and this machine has ${version || 'none'}. npm installs a ` +
      'newer one only on Linux with glibc, on x64 and arm64, and only with optional dependencies ' +
      '(npm config get omit). Install Node.js 24, then run this again.',
  );
}

function run(path, command, args) {
  const child = spawn('/bin/sh', ['-c', `${command} "$@"`, command, ...args], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, PATH: path },
  });
  // At a terminal, Ctrl-C reaches the child by itself; a supervisor's SIGTERM reaches only npm and this.
  process.on('SIGINT', () => undefined);
  // (A closed terminal would tell the broker only to read its configuration again.)
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill('SIGTERM'));
  child.on('exit', (status, signal) => {
    process.exit(status ?? 128 + constants.signals[signal]);
  });
}

function main([command, ...args]) {
  const least = json('package.json').engines.node.replace('>=', '');
  if (!hasOwnNode() && isOlder(process.version, least)) tooOld(process.version, least);
  const why = whyInstall();
  if (why !== null) install(why);
  run(checkNode(least), command, args);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
