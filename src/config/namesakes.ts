/** Keys of the same name as one that does not exist, which may be meant by it. */
import { keyPaths, once } from './kinds.js';
import { wholeSchema } from './schema.js';
import { pathText, type Path } from './tree.js';

/** The most namesakes that help. */
const NAMESAKES_MAX = 2;

/** The last name, without what differs between ways to write it: `data_dir`. */
function plainName(path: string): string {
  return path.replace(/^.*\./, '').replace(/[_-]/g, '').toLowerCase();
}

const allKeys = once(() =>
  keyPaths(wholeSchema()).map((path) => ({ path, name: plainName(path) })),
);

/** Finds namesakes in the same section, or else in any. @param path of the key that does not exist */
export function namesakes(path: Path): readonly string[] {
  const name = plainName(String(path.at(-1) ?? ''));
  const same = allKeys().filter((key) => key.name === name && key.path !== pathText(path));
  const near = same.filter((key) => key.path.startsWith(`${path[0] ?? ''}.`));
  const found = (near.length > 0 ? near : same).map((key) => key.path);
  return found.length > NAMESAKES_MAX ? [] : found;
}
