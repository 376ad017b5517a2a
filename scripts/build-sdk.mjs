/**
 * Builds packages/sdk/dist, which is the package majordomo-sdk and what `majordomo-broker/client` and
 * `/worker` export, from what the compiler put into compiled/. Each export of packages/sdk/package.json is
 * an entry: `./client` is built from compiled/sdk/client.js, `.` from compiled/sdk/index.js.
 *
 * The code is in one file, because loading many is slow: sdk.js for programs and bundlers, sdk.cjs for
 * those that know no ES modules, such as Jest. Node requires the first, too (`module-sync`), so that a
 * program which loads the package both ways has one copy of it. A test broker is CommonJS alone. The code is
 * not made small: in the stack of an error that nobody catches, Node prints its lines.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

import * as timers from './sdk-timers.mjs';
import { writeDeclarations } from './declarations.mjs';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const COMPILED = join(ROOT, 'compiled');
const PACKAGE = join(ROOT, 'packages/sdk');
const TARGET = join(PACKAGE, 'dist');

const { exports } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
const entries = Object.keys(exports)
  .filter((path) => path !== './package.json')
  .map((path) => (path === '.' ? 'index' : path.slice(2)));

/** The source in compiled/: a test broker is no part of the SDK's own room. */
const sourceOf = (name) => (name === 'testing' ? 'testing/testing' : `sdk/${name}`);
const compiledEntry = (name) =>
  join(COMPILED, `${name === basename(THREAD) ? THREAD : sourceOf(name)}.js`);

/** The program of a thread, which the SDK starts by its path beside its own code. */
const THREAD = 'sdk/stream/shard-thread';
/** The entry that is only CommonJS: it is large, and for tests alone. */
const TESTING = 'testing';

const PURE = ['Buffer.from', 'Buffer.alloc', 'Array.from', 'Object.entries', 'Object.fromEntries'];

const TIMERS = fileURLToPath(new URL('sdk-timers.mjs', import.meta.url));
const REAL = {
  ...Object.fromEntries(Object.keys(timers).map((name) => [name, [TIMERS, name]])),
  'Date.now': [TIMERS, 'now'],
};

const GETTER =
  /Object\.defineProperty\(exports, "(\w+)", \{\n\tenumerable: true,\n\tget: function\(\) \{\n\t\treturn (\w+);\n\t\}\n\}\);/g;
/** The bundler's names of files, which `comments: false` leaves (rolldown 1.3.2). */
const FILE_NAME = /^\/\/ (?:compiled\/|\\0|scripts\/).*\n/gm;

/** Indentation. */
const INDENTATION = /^\t+/gm;

/** Whether a text in this code goes over several lines, so that its tabs belong to it. */
function hasTextOfLines(node) {
  if (node === null || typeof node !== 'object') return false;
  if (node.type === 'TemplateElement') return node.value.raw.includes('\n');
  return Object.values(node).some(hasTextOfLines);
}

/**
 * Takes out what nobody reads: names of files that no package has, functions around what one file of CommonJS gives
 * the other, and indentation.
 */
const SHORTER = {
  name: 'shorter',
  generateBundle(_options, bundle) {
    for (const chunk of Object.values(bundle)) {
      const { code } = chunk;
      if (hasTextOfLines(this.parse(code))) {
        throw new Error(`${chunk.fileName}: a text of several lines`);
      }
      chunk.code = code
        .replace(FILE_NAME, '')
        .replace(GETTER, (_all, name, value) => {
          if (code.includes(`\nlet ${value}`)) {
            throw new Error(`${value} may change: ${name} needs its getter`);
          }
          return `exports.${name} = ${value};`;
        })
        .replace(INDENTATION, '');
    }
  },
};

/** @param format `esm` or `cjs` */
async function writeCode(format, names) {
  const extension = format === 'esm' ? 'js' : 'cjs';
  const bundle = await rolldown({
    input: Object.fromEntries(names.map((name) => [name, compiledEntry(name)])),
    platform: 'node',
    transform: { inject: REAL },
    external: (id) => !id.startsWith('.') && !isAbsolute(id),
    plugins: [SHORTER],
    // What they make at the top of a module is of no use if nothing reads it.
    treeshake: { manualPureFunctions: PURE },
    // (How long a plugin takes on a busy machine is no fault of the code.)
    checks: { bundlerTimings: false },
    onwarn: (warning) => {
      throw new Error(warning.message);
    },
  });
  await bundle.write({
    dir: TARGET,
    format,
    entryFileNames: `[name].${extension}`,
    chunkFileNames: `[name].${extension}`,
    strict: true,
    comments: false,
    codeSplitting: { groups: [{ name: 'sdk', test: (id) => id === compiledEntry('index') }] },
  });
  await bundle.close();
}

function writeTesting() {
  const require = createRequire(import.meta.url);
  const names = Object.keys(require(join(TARGET, `${TESTING}.cjs`)));
  const text = `export { ${names.join(', ')} } from './${TESTING}.cjs';\n`;
  writeFileSync(join(TARGET, `${TESTING}.js`), text);
}

rmSync(TARGET, { recursive: true, force: true });
await writeCode('esm', [...entries.filter((name) => name !== TESTING), basename(THREAD)]);
await writeCode('cjs', entries);
writeTesting();
writeDeclarations({
  compiled: COMPILED,
  target: TARGET,
  sources: new Map(entries.map((name) => [name, sourceOf(name)])),
});
