/**
 * Loads the modules of the program: `dist/load.js`, for each script that Node starts. Beside a module lies what V8
 * compiled of it (scripts/compile-ahead.mjs). V8 takes that only for the same version, flags and length of the
 * source; the names of modules have hashes, so that the source is the same. V8 does not check whether
 * it is damaged; a damaged one can end Node, as a damaged module can. A checksum would slow each start.
 *
 * It is CommonJS: to load an ES module, Node first loads more code of its own, again in each thread.
 */
const { readFileSync } = require('node:fs');
const { dirname, join } = require('node:path');
const vm = require('node:vm');

const CODE = join(__dirname, 'code');
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
  // (The bundle has no character beyond ASCII.)
  const script = new vm.Script(readFileSync(filename, 'latin1'), {
    ...{ filename, cachedData: compiledOf(filename), importModuleDynamically },
  });
  loaded.set(filename, module);
  const folder = dirname(filename);
  const requireHere = (id) => (id.startsWith('./') ? load(join(folder, id)) : require(id));
  try {
    script.runInThisContext()(module.exports, requireHere, module, filename);
  } catch (error) {
    // The next load begins anew: a file descriptor may have been lacking.
    loaded.delete(filename);
    throw error;
  }
  return module.exports;
}

exports.start = (name) => load(join(CODE, name));
