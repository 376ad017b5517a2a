/**
 * A file of this program that its code opens by name: a thread's script, the page, the tables of a store.
 *
 * The bundle has this module one folder below its root, like the sources (scripts/bundle.mjs).
 *
 * @param path from the root of the compiled sources, such as `store/sqlite/sqlite-thread.js`
 */
export function ownFile(path: string): URL {
  return new URL(`../${path}`, import.meta.url);
}
