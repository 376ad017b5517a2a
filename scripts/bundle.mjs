/**
 * Makes the program from the compiled sources: `node scripts/bundle.mjs COMPILED PROGRAM`.
 *
 * Node takes longer to load many files. What a node needs at each start is one file, with the packages that it
 * uses; what is loaded only when it is asked for (a command, an extension) keeps a file of its own. A file that
 * the code opens by name (`ownFile`) keeps its path: a thread's script, the page, the tables of a store. The
 * scripts that Node starts let scripts/load.cjs load the rest, in CODE, as CommonJS: for ES modules, Node keeps
 * what V8 compiled for one user only, and not in threads. Licences of packages are in LICENSES.txt.
 *
 * The page becomes one module with the packages that it uses, and their licences beside it, because
 * browsers load it from this program alone.
 */
import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, extname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { rolldown } from 'rolldown';

import { withLateRequires } from './late-requires.mjs';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const [compiled = '', target = ''] = process.argv.slice(2);
if (target === '') throw new Error('usage: bundle.mjs COMPILED PROGRAM');
const [from, to] = [join(ROOT, compiled), join(ROOT, target)];

/** The folder of all code: `ownFile` counts from one folder below the root, as in the sources. */
const CODE = 'code';
/** The page is for browsers. */
const PAGE = /^page\//;
const PAGE_ASSETS = new Set(['.html', '.css', '.svg']);
/** Packages inside the page's module. */
const PAGE_PACKAGES = ['preact', '@preact/signals', '@preact/signals-core', 'uplot'];
/** What uPlot offers beside lines, which the charts of the page do not use. */
const UNUSED_OF_UPLOT = /^\s*(uPlot\.join *= join|\(paths\.(stepped|bars|spline) *= *\w+\));$/gm;

/** Removes the statements that name what is unused, so that the bundler leaves it out: a twentieth of the page. */
const LINES_ONLY = {
  name: 'lines-only',
  transform(code, path) {
    if (!path.endsWith('uPlot.esm.js')) return null;
    if (code.match(UNUSED_OF_UPLOT)?.length !== 4) {
      throw new Error('uPlot is another one: see UNUSED_OF_UPLOT');
    }
    return code.replace(UNUSED_OF_UPLOT, '');
  },
};

/** Packages that are not in the program: large and rarely loaded, or with native code beside them. */
const OUTSIDE =
  /^(node:|(@cfworker\/json-schema|@nats-io\/transport-node|libsodium-wrappers-sumo|pg|pino-pretty|zeromq)$)/;
/** Modules of Node that most starts do without: a function that uses one loads it. */
const LATE_IN_COMMANDS = ['crypto', 'timers/promises'];
const LATE = ['child_process', 'dns/promises', 'fs/promises', 'https', 'tls', 'v8'];
const unmet = new Set([...LATE, ...LATE_IN_COMMANDS]);
const OWN_FILE = /\bownFile\(\s*'([^']+)\.js'/g;

const files = readdirSync(from, { recursive: true }).map((path) => path.replaceAll('\\', '/'));
const code = files.filter((path) => extname(path) === '.js' && !PAGE.test(path));
/** The scripts that Node starts. */
const entries = new Set(['main']);
/** The daemon is a program of its own: all that each start needs is in one module. */
const SERVE = 'cli/serve/serve.js';
const LIST = 'extensions/list.js';
const DAEMON = '\0daemon';
/** What most starts load after the first file: in one file each, and in another what several of them have. */
const LATER = {
  main: {
    commands: ['cli/main.js', 'extensions/cli-commands.js'],
    client: ['cli/requests/request.js', 'cli/connection/context.js', 'sdk/client.js'],
  },
  serve: {
    http: ['node/http.js'],
    answers: [
      ...['admin/io/server.js', 'node/routes.js', 'extensions/map/route.js'],
      ...['extensions/programs/request-route.js', 'extensions/programs/durable-routes.js'],
    ],
    stored: ['node/stored.js'],
  },
};
const COMMON = 'common';
/**
 * What the file of that name loads later is read with it: otherwise an upgrade would end HTTP of a running node. (Not
 * what that loads still later: such a node lacks the metrics of its process and the OpenAPI document until it is restarted.)
 */
const HOLDING = 'http';
const SQLITE = 'better-sqlite3';
/** Bundles the JavaScript of SQLite, compiled ahead as well; what finds its binary stays in the package. */
const sqlitePlugin = {
  name: 'sqlite',
  resolveId: (id) => (id === SQLITE ? `\0${SQLITE}` : null),
  load: (id) => {
    if (id !== `\0${SQLITE}`) return null;
    const lib = dirname(createRequire(import.meta.url).resolve(SQLITE));
    return `
      import { createRequire } from 'node:module';
      import { dirname, join } from 'node:path';
      import make from ${JSON.stringify(join(lib, 'database.js'))};
      import SqliteError from ${JSON.stringify(join(lib, 'sqlite-error.js'))};
      const require = createRequire(import.meta.url);
      const binding = join(dirname(require.resolve('${SQLITE}')), 'binding.js');
      const Database = make((given) => require(binding).getBinding(given), true);
      export default Object.assign(Database, { SqliteError });`;
  },
};
/** Puts the values that a module of the configuration makes in its place. */
const SCHEMA_DATA = join(from, 'config/schema-data.js');
const schemaDataPlugin = {
  name: 'schema-data',
  async load(id) {
    if (id !== SCHEMA_DATA) return null;
    return Object.entries(await import(pathToFileURL(id).href))
      .map(([name, value]) => {
        const text = JSON.stringify(value);
        if (!isDeepStrictEqual(JSON.parse(text), value)) {
          throw new Error(`${name} is not only data`);
        }
        return `export const ${name} = JSON.parse(${JSON.stringify(text)});`;
      })
      .join('\n');
  },
};
const daemonPlugin = {
  name: 'daemon',
  resolveId: (id, importer, { kind }) => {
    if (id === DAEMON) return id;
    if (kind !== 'dynamic-import' || !id.startsWith('.')) return null;
    const path = relative(from, resolve(dirname(importer), id));
    return [SERVE, LIST].includes(path) ? { id: `./${serve}`, external: true } : null;
  },
  load: (id) =>
    id === DAEMON
      ? [SERVE, 'node/serve.js', LIST]
          .map((path) => `export * from ${JSON.stringify(join(from, path))};`)
          .join('\n')
      : null,
};
for (const path of code) {
  const text = readFileSync(join(from, path), 'utf8');
  for (const [, name] of text.matchAll(OWN_FILE)) entries.add(name);
}

rmSync(to, { recursive: true, force: true });
for (const path of files) {
  const isOpened = PAGE.test(path) ? PAGE_ASSETS.has(extname(path)) : extname(path) === '.sql';
  if (isOpened) cpSync(join(from, path), join(to, path));
}
/** How long a plugin takes on a busy machine is no fault of the code. */
const checks = { bundlerTimings: false };
const onwarn = (warning) => {
  // `serve` has at once what its sources load later.
  if (warning.code !== 'INEFFECTIVE_DYNAMIC_IMPORT') throw new Error(warning.message);
};
await bundlePage();
/** What is inside, beside this package. */
const inside = new Set();
const serve = await bundleProgram('serve', DAEMON);
for (const name of entries) {
  const main = await bundleProgram(basename(name), join(from, `${name}.js`));
  const up = relative(dirname(join(to, name)), to) || '.';
  const shebang = name === 'main' ? '#!/usr/bin/env node\n' : '';
  mkdirSync(dirname(join(to, name)), { recursive: true });
  writeFileSync(join(to, `${name}.js`), `${shebang}require('${up}/load.js').start('${main}');\n`);
}
if (unmet.size > 0) throw new Error(`nothing loads what is to be late: ${[...unmet].join()}`);
cpSync(join(ROOT, 'scripts/load.cjs'), join(to, 'load.js'));
writeFileSync(join(to, 'package.json'), '{"type":"commonjs"}\n');
// npx makes the link to a program once, for all its builds.
chmodSync(join(to, 'main.js'), 0o755);
writeFileSync(join(to, 'LICENSES.txt'), licencesOf([...inside].sort()));

/** @returns the name of its first file, in CODE */
async function bundleProgram(name, input) {
  const later = Object.entries(LATER[name] ?? {});
  /** The name of its file, by module: with what it imports in the same file, it is faster. */
  const files = new Map();
  const plugin = {
    name: 'files',
    buildEnd() {
      const add = (id, file) => {
        const known = files.get(id);
        if ([name, file, COMMON].includes(known)) return;
        files.set(id, known === undefined ? file : COMMON);
        this.getModuleInfo(id)?.importedIds.forEach((each) => add(each, file));
      };
      add(input, name);
      for (const [file, paths] of later) {
        for (const path of paths) {
          const id = join(from, path);
          if (this.getModuleInfo(id) === null) throw new Error(`${name} has no ${path}`);
          add(id, file);
        }
      }
    },
  };
  const bundle = await rolldown({
    input: { [name]: input },
    platform: 'node',
    external: (id) => OUTSIDE.test(id),
    plugins: [daemonPlugin, sqlitePlugin, schemaDataPlugin, plugin],
    checks,
    onwarn,
  });
  const { output } = await bundle.generate({
    format: 'cjs',
    entryFileNames: '[name]-[hash].js',
    chunkFileNames: '[name]-[hash].js',
    dynamicImportInCjs: false,
    codeSplitting: {
      groups: [...later.map(([file]) => file), COMMON, name].map((file, priority) => ({
        ...{ name: file, priority, test: (id) => files.get(id) === file },
      })),
    },
    comments: false,
    // Of classes and functions, for stacks.
    keepNames: true,
  });
  await bundle.close();
  mkdirSync(join(to, CODE), { recursive: true });
  for (const { fileName, name: chunk, code, dynamicImports } of output) {
    const later = chunk === HOLDING ? dynamicImports : [];
    const tail = later.map((each) => `require.hold('./${each}');`).join('');
    // (Modules are strict.)
    const head = "(function (exports, require, module, __filename) { 'use strict';";
    const names = name === 'main' ? [...LATE, ...LATE_IN_COMMANDS] : LATE;
    writeFileSync(
      join(to, CODE, fileName),
      `${head}${ascii(withLateRequires(code, names, unmet))}${tail}})\n`,
    );
  }
  for (const each of packagesOf(output.flatMap(({ moduleIds = [] }) => moduleIds))) {
    inside.add(each);
  }
  return output[0].fileName;
}

/** Escapes a text so that it has one byte for each character, in the file and in memory. */
function ascii(text) {
  return text.replace(
    /[^\0-\x7f]/g,
    (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

async function bundlePage() {
  const input = join(from, 'page/app.js');
  const page = await rolldown({
    input,
    platform: 'browser',
    checks,
    onwarn,
    plugins: [LINES_ONLY],
  });
  const file = join(to, 'page/app.js');
  const { output: made } = await page.write({ file, minify: true, comments: false });
  await page.close();
  const found = packagesOf(made[0].moduleIds);
  if (found.join() !== [...PAGE_PACKAGES].sort().join()) {
    throw new Error(`PAGE_PACKAGES is not what is inside the page: ${found.join()}`);
  }
  writeFileSync(join(to, 'page/LICENSES.txt'), licencesOf(PAGE_PACKAGES));
  const require = createRequire(import.meta.url);
  appendFileSync(
    join(to, 'page/style.css'),
    readFileSync(require.resolve('uplot/dist/uPlot.min.css')),
  );
}

/** The names of the packages that files are of. (Real paths: `node_modules` may be a link.) */
function packagesOf(paths) {
  const found = paths.flatMap(
    (id) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id.replaceAll('\\', '/'))?.[1] ?? [],
  );
  return [...new Set(found)].sort();
}

function licencesOf(packages) {
  const texts = packages.map((name) => {
    const folder = join(ROOT, 'node_modules', name);
    const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    if (file === undefined) throw new Error(`${name} has no licence`);
    return `${name} ${version}, ${license}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
  });
  return texts.join(`\n${'-'.repeat(80)}\n\n`);
}
