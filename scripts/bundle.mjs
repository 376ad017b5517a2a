/**
 * Makes the program from the compiled sources: `node scripts/bundle.mjs COMPILED PROGRAM`.
 *
 * Node takes longer to load many files. What is loaded only when it is asked for (a command, an
 * extension) keeps a file of its own; packages stay outside. A file that the code opens by name
 * (`ownFile`) keeps its path: a thread's script, the page, the tables of a store. A script that a module opens
 * from its own folder lies beside the code that opens it.
 *
 * The page becomes one module with the packages that it uses, and their licences beside it, because
 * browsers load it from this program alone.
 */
import {
  appendFileSync,
  chmodSync,
  cpSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, extname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const [compiled = '', target = ''] = process.argv.slice(2);
if (target === '') throw new Error('usage: bundle.mjs COMPILED PROGRAM');
const [from, to] = [join(ROOT, compiled), join(ROOT, target)];

/** The folder of what all entries share. */
const CODE = 'code';
/** The page is for browsers. */
const PAGE = /^page\//;
const PAGE_ASSETS = new Set(['.html', '.css', '.svg']);
/** Packages inside the page's module. */
const PAGE_PACKAGES = ['preact', '@preact/signals', '@preact/signals-core', 'uplot'];
const OWN_FILE = /\bownFile\(\s*'([^']+)\.js'/g;
const BESIDE = /new URL\('\.\/([^'/]+)\.js', (?:import\.meta\.)?url\)/g;
/** `ownFile` counts from the folder of this module: it must be as deep as in the sources. */
const FINDER = 'core/own-file.js';

const files = readdirSync(from, { recursive: true }).map((path) => path.replaceAll('\\', '/'));
const code = files.filter((path) => extname(path) === '.js' && !PAGE.test(path));
/** From the name of each file in the program to that of what it is made of. */
const entries = new Map([['main', 'main']]);
for (const path of code) {
  const text = readFileSync(join(from, path), 'utf8');
  for (const [, name] of text.matchAll(OWN_FILE)) entries.set(name, name);
  for (const [, name] of text.matchAll(BESIDE)) {
    entries.set(`${CODE}/${name}`, join(dirname(path), name));
  }
}

rmSync(to, { recursive: true, force: true });
for (const path of files) {
  const isOpened = PAGE.test(path) ? PAGE_ASSETS.has(extname(path)) : extname(path) === '.sql';
  if (isOpened) cpSync(join(from, path), join(to, path));
}
const onwarn = (warning) => {
  throw new Error(warning.message);
};
await bundlePage();
const bundle = await rolldown({
  input: Object.fromEntries(
    Array.from(entries, ([name, path]) => [name, join(from, `${path}.js`)]),
  ),
  platform: 'node',
  external: (id) => !id.startsWith('.') && !isAbsolute(id),
  onwarn,
});
const { output } = await bundle.write({
  dir: to,
  entryFileNames: '[name].js',
  chunkFileNames: `${CODE}/[name]-[hash].js`,
  comments: false,
  // Of classes and functions, for stacks.
  keepNames: true,
});
await bundle.close();
// npx makes the link to a program once, for all its builds.
chmodSync(join(to, 'main.js'), 0o755);

const finder = output.find(({ moduleIds = [] }) => moduleIds.includes(join(from, FINDER)));
if (basename(dirname(finder?.fileName ?? '')) !== CODE) throw new Error(`${FINDER} is elsewhere`);

async function bundlePage() {
  const input = join(from, 'page/app.js');
  const page = await rolldown({ input, platform: 'browser', onwarn });
  const file = join(to, 'page/app.js');
  const { output: made } = await page.write({ file, minify: true, comments: false });
  await page.close();
  // Real paths: `node_modules` may be a link.
  const found = made[0].moduleIds.flatMap(
    (id) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id.replaceAll('\\', '/'))?.[1] ?? [],
  );
  const inside = [...new Set(found)].sort();
  if (inside.join() !== [...PAGE_PACKAGES].sort().join()) {
    throw new Error(`PAGE_PACKAGES is not what is inside the page: ${inside.join()}`);
  }
  const licences = PAGE_PACKAGES.map((name) => {
    const folder = join(ROOT, 'node_modules', name);
    const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    return `${name} ${version}, ${license}\n\n${readFileSync(join(folder, 'LICENSE'), 'utf8').trim()}\n`;
  });
  writeFileSync(join(to, 'page/LICENSES.txt'), licences.join(`\n${'-'.repeat(80)}\n\n`));
  const require = createRequire(import.meta.url);
  appendFileSync(
    join(to, 'page/style.css'),
    readFileSync(require.resolve('uplot/dist/uPlot.min.css')),
  );
}
