/**
 * Loads the modules of the program: `dist/load.js`, for each script that Node starts. Beside a module lies what V8
 * compiled of it (scripts/compile-ahead.mjs), with a checksum, because V8 does not look whether it is damaged. V8 takes
 * it only for the same version, flags and length of the source; the checksum counts the module's name, which has a hash
 * of the source.
 *
 * Node's own cache (`module.enableCompileCache`) takes 1.2 times the CPU of a broker's start and 1.16 times that of
 * `majordomo request` (`npm run bench:start` with both), and it keeps its files for one user only: a service would not
 * get what was made when its package was installed.
 *
 * This file is CommonJS: to load an ES module, Node first loads more code of its own, again in each thread.
 */
const { readFileSync } = require('node:fs');
const { basename, dirname, join } = require('node:path');
const vm = require('node:vm');

const CODE = join(__dirname, 'code');
// (An older Node has none, and is told that it is too old.)
const importModuleDynamically = vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER;
const COMPILED = `.${process.version}-${process.arch}.compiled`;
const loaded = new Map();
/** The texts of modules that are loaded later, when an upgrade may have removed their files. */
const held = new Map();

/** @returns what V8 compiled of a module; undefined if there is nothing, or nothing whole of this module */
function compiledOf(filename) {
  try {
    const file = readFileSync(filename + COMPILED);
    const { crc32 } = require('node:zlib');
    const data = file.subarray(0, -4);
    return file.readUInt32LE(data.length) === crc32(data, crc32(basename(filename)))
      ? data
      : undefined;
  } catch {
    return undefined;
  }
}

/** (The bundle has no character beyond ASCII.) */
function textOf(filename) {
  return held.get(filename) ?? readFileSync(filename, 'latin1');
}

function load(filename) {
  const known = loaded.get(filename);
  if (known !== undefined) return known.exports;
  const module = { exports: {} };
  const script = new vm.Script(textOf(filename), {
    ...{ filename, cachedData: compiledOf(filename), importModuleDynamically },
  });
  loaded.set(filename, module);
  const folder = dirname(filename);
  const requireHere = (id) => (id.startsWith('./') ? load(join(folder, id)) : require(id));
  requireHere.hold = (id) => held.set(join(folder, id), textOf(join(folder, id)));
  try {
    script.runInThisContext()(module.exports, requireHere, module, filename);
  } catch (error) {
    // The next load begins anew: a file descriptor may have been lacking.
    loaded.delete(filename);
    throw error;
  }
  held.delete(filename);
  return module.exports;
}

exports.compiledOf = compiledOf;
exports.start = (name) => load(join(CODE, name));
