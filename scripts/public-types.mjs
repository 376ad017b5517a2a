// Removes the declarations that the package's exports do not need from dist/, before npm packs it.
// What stays is public: the SDK's types and those that they name.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const IMPORTED = /(?:from |import\()'(\.[^']+)\.js'/g;

const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const entries = Object.values(exports).flatMap(({ types }) => types ?? []);

/** A Set visits what is added to it meanwhile. */
const needed = new Set(entries.map((path) => join(root, path)));
for (const file of needed) {
  for (const [, path] of readFileSync(file, 'utf8').matchAll(IMPORTED)) {
    needed.add(join(dirname(file), `${path}.d.ts`));
  }
}

const dist = join(root, 'dist');
for (const path of readdirSync(dist, { recursive: true })) {
  const file = join(dist, path);
  if (file.endsWith('.d.ts') && !needed.has(file)) rmSync(file);
}
