/**
 * Puts the program that tests start, build/src/main.js, into a few files: build/bundled/main.js. A process
 * loads these with two thirds of the processor time that it needs for a file of each module, and .ci/run
 * starts more than a thousand. The next build removes them (prune-build.mjs).
 */
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rollup } from '@rollup/wasm-node';

const BUILD = fileURLToPath(new URL('../build/', import.meta.url));
/** The package whose modules are the most. */
const PARTS = ['zod'];

const parts = {
  name: 'parts',
  resolveId: (id) => (PARTS.includes(id) ? fileURLToPath(import.meta.resolve(id)) : null),
};

/** Files that a module finds by its own place are still found: it keeps that. */
const places = {
  name: 'places',
  resolveImportMeta: (_, { moduleId }) => JSON.stringify(pathToFileURL(moduleId).href),
};

const bundle = await rollup({
  input: join(BUILD, 'src/main.js'),
  external: (id) => /^[^./]/.test(id) && !PARTS.includes(id),
  plugins: [parts, places],
  treeshake: false,
  // Circles of modules, and comments for other bundlers.
  onwarn: () => undefined,
});
await bundle.write({ dir: join(BUILD, 'bundled'), format: 'es' });
await bundle.close();
