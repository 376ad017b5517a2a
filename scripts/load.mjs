/**
 * Loads the modules of the program: `dist/load.js`, for each script that Node starts. Beside a module lies what V8
 * compiled of it (scripts/compile-ahead.mjs). V8 takes that only for the same version, flags and length of the
 * source; the names of modules have hashes, so that the source is the same.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';

const require = createRequire(import.meta.url);
const CODE = fileURLToPath(new URL('code/', import.meta.url));
// (An older Node has none, and is told that it is too old.)
const importModuleDynamically = vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER;
const COMPILED = `.${process.version}-${process.arch}.compiled`;
const loaded = new Map();

function compiledOf(filename) {
  try {
    return readFileSync(filename + COMPILED);
  } catch {
    return undefined;
  }
}

function load(filename) {
  const known = loaded.get(filename);
  if (known !== undefined) return known.exports;
  const module = { exports: {} };
  loaded.set(filename, module);
  // (The bundle has no character beyond ASCII.)
  const script = new vm.Script(readFileSync(filename, 'latin1'), {
    ...{ filename, cachedData: compiledOf(filename), importModuleDynamically },
  });
  const folder = dirname(filename);
  const requireHere = (id) => (id.startsWith('./') ? load(join(folder, id)) : require(id));
  script.runInThisContext()(module.exports, requireHere, module, filename);
  return module.exports;
}

export const start = (name) => load(join(CODE, name));
