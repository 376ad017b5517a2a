/**
 * Removes from a production `node_modules` what the broker on this platform never loads: native modules
 * for other platforms, the sources that they were compiled from, the clone's own Node and the link to its SDK.
 *
 *     node scripts/prune-modules.mjs FOLDER
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const [, , folder] = process.argv;
if (folder === undefined) throw new Error('usage: node scripts/prune-modules.mjs FOLDER');

const { platform, arch } = process;

function remove(path) {
  rmSync(join(folder, path), { recursive: true, force: true });
}

/** Fails if none is kept: a package that has moved its binaries would else lose them here. */
function keepOnly(path, isKept) {
  const names = readdirSync(join(folder, path));
  if (!names.some(isKept)) {
    throw new Error(`${path} has nothing for ${platform} on ${arch}, only: ${names.join(', ')}`);
  }
  for (const name of names) if (!isKept(name)) remove(join(path, name));
}

keepOnly('better-sqlite3/prebuilds', (name) => name === `${platform}-${arch}.node`);
for (const path of ['build', 'deps', 'src']) remove(`better-sqlite3/${path}`);

keepOnly('zeromq/build', (name) => name === platform || name === 'manifest.json');
keepOnly(`zeromq/build/${platform}`, (name) => name === arch);
keepOnly(`zeromq/build/${platform}/${arch}/node`, (name) => !name.startsWith('musl-'));
for (const path of ['script', 'src']) remove(`zeromq/${path}`);

for (const name of readdirSync(folder)) {
  if (/^(majordomo-(node|sdk)|node-linux-.*)$/.test(name)) remove(name);
}
for (const path of ['.bin', '.package-lock.json']) remove(path);
