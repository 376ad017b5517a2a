// Makes the folder of compiled files ready for the compiler: `node scripts/sync-compiled.mjs COMPILED SOURCES`. It removes
// files whose sources no longer exist, so that a renamed or deleted test does not run again, and is not shipped, and
// copies the files of src/ that are not TypeScript, which the compiler ignores.
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const [compiled = '', sources = ''] = process.argv.slice(2);
if (sources === '') throw new Error('usage: sync-compiled.mjs COMPILED SOURCES');
const [to, from] = [join(ROOT, compiled), join(ROOT, sources)];

const ASSETS = new Set(['.sql', '.html', '.css', '.svg']);
/** What the compiler remembers of its last run, and what each build makes anew. */
const KEPT = /^(compiled\.tsbuildinfo$|program\/)/;

for (const entry of existsSync(to)
  ? readdirSync(to, { recursive: true, withFileTypes: true })
  : []) {
  const path = relative(to, join(entry.parentPath, entry.name));
  if (!entry.isFile() || KEPT.test(path)) continue;
  const source = path.replace(/(\.js|\.d\.ts)(\.map)?$/, '.ts');
  if (!existsSync(join(from, source))) rmSync(join(to, path));
}
const src = join(ROOT, 'src');
for (const path of readdirSync(src, { recursive: true })) {
  if (ASSETS.has(extname(path))) cpSync(join(src, path), join(to, relative(from, src), path));
}
