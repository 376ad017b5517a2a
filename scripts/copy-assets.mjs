// Copies the files other than TypeScript, which the compiler ignores, next to the compiled ones.
// node scripts/copy-assets.mjs TARGET
import { cpSync, readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ASSETS = new Set(['.sql', '.html', '.css', '.svg']);

const source = fileURLToPath(new URL('../src/', import.meta.url));
const target = process.argv[2];
if (target === undefined) throw new Error('usage: node scripts/copy-assets.mjs TARGET');

for (const path of readdirSync(source, { recursive: true })) {
  if (ASSETS.has(extname(path))) cpSync(join(source, path), join(target, path));
}
