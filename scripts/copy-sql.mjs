// The compiler leaves SQL files behind: copies them beside what it made. node scripts/copy-sql.mjs TARGET
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../src/', import.meta.url));
const target = process.argv[2];
if (target === undefined) throw new Error('usage: node scripts/copy-sql.mjs TARGET');

for (const path of readdirSync(source, { recursive: true })) {
  if (path.endsWith('.sql')) cpSync(join(source, path), join(target, path));
}
