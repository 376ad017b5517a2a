// The compiler leaves what is no TypeScript behind: copies it beside what it makes.
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
