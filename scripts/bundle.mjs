/**
 * Makes the program from the compiled sources: `node scripts/bundle.mjs COMPILED PROGRAM`.
 *
 * Node loads a few files faster than many. What is loaded only when it is asked for (a command, an
 * extension) keeps a file of its own; packages stay outside. A file that the code opens by name
 * (`ownFile`) keeps its path: a thread's script, the page, the tables of a store.
 */
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const [compiled = '', target = ''] = process.argv.slice(2);
if (target === '') throw new Error('usage: bundle.mjs COMPILED PROGRAM');
const [from, to] = [join(ROOT, compiled), join(ROOT, target)];

/** The page is for browsers. */
const PAGE = /^page\//;
const OWN_FILE = /\bownFile\('([^']+)\.js'\)/g;
/** `ownFile` counts from the folder of this module: it must be as deep as in the sources. */
const FINDER = 'core/own-file.js';

const files = readdirSync(from, { recursive: true }).map((path) => path.replaceAll('\\', '/'));
const code = files.filter((path) => extname(path) === '.js' && !PAGE.test(path));
const threads = code.flatMap((path) =>
  Array.from(readFileSync(join(from, path), 'utf8').matchAll(OWN_FILE), ([, name]) => name),
);

rmSync(to, { recursive: true, force: true });
const bundle = await rolldown({
  input: Object.fromEntries(['main', ...threads].map((name) => [name, join(from, `${name}.js`)])),
  platform: 'node',
  external: /^[^./]/,
  onwarn: (warning) => {
    throw new Error(warning.message);
  },
});
const { output } = await bundle.write({
  dir: to,
  entryFileNames: '[name].js',
  chunkFileNames: 'code/[name]-[hash].js',
  comments: false,
  // Of classes and functions, for stacks.
  keepNames: true,
});
await bundle.close();

const finder = output.find(({ moduleIds = [] }) => moduleIds.includes(join(from, FINDER)));
if (basename(dirname(finder?.fileName ?? '')) !== 'code') throw new Error(`${FINDER} is elsewhere`);

for (const path of files) {
  const isOpened = PAGE.test(path) || extname(path) === '.sql';
  if (isOpened && extname(path) !== '') cpSync(join(from, path), join(to, path));
}
