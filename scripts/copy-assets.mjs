// Copies files other than TypeScript, which the compiler ignores, next to the compiled ones.
// node scripts/copy-assets.mjs TARGET
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../src/', import.meta.url));
const target = process.argv[2];
if (target === undefined) throw new Error('usage: node scripts/copy-assets.mjs TARGET');

const page = join('http', 'page', 'public');
for (const path of readdirSync(source, { recursive: true })) {
  if (path.endsWith('.sql')) cpSync(join(source, path), join(target, path));
}
cpSync(join(source, page), join(target, page), { recursive: true });
