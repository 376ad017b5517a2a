// Removes compiled files whose sources no longer exist, so that a renamed or deleted test does not run
// again, and is not shipped. The compiler overwrites the other files when their sources have changed.
// node scripts/prune-build.mjs COMPILED SOURCES
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const [compiled = '', sources = ''] = process.argv.slice(2);
if (compiled === '') throw new Error('usage: prune-build.mjs COMPILED SOURCES');
const build = join(root, compiled);

/** What the compiler remembers of its last run. */
const COMPILED = 'compiled.tsbuildinfo';

/** Made anew by each build. */
const PROGRAM = join(build, 'program/');

/** The file that this one was compiled or copied from. */
function sourceOf(path) {
  return path.replace(/(\.js|\.d\.ts)(\.map)?$/, '.ts');
}

if (existsSync(build)) {
  for (const entry of readdirSync(build, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name === COMPILED) continue;
    const path = join(entry.parentPath, entry.name);
    if (path.startsWith(PROGRAM)) continue;
    const source = sourceOf(path.slice(build.length + 1));
    if (!existsSync(join(root, sources, source))) rmSync(path);
  }
}
