/**
 * Packages that few programs need, loaded when they do, by a name that bundlers do not follow: a bundle
 * finds them beside itself or beside the program, not in the current folder, which may be anybody's.
 * (`node:module` is not imported, because some bundlers read the arguments of its `createRequire`.)
 */
import { resolve } from 'node:path';

import { codeOf } from '../core/errors.js';

/** @throws what loading it throws; MODULE_NOT_FOUND if it is in none of the places */
export function loadInstalled(name: string): unknown {
  const { createRequire } = process.getBuiltinModule('node:module');
  for (const place of places()) {
    const require = createRequire(place);
    let path: string;
    try {
      path = require.resolve(name);
    } catch {
      continue;
    }
    return require(path);
  }
  throw Object.assign(new Error(`Cannot find package '${name}'`), { code: 'MODULE_NOT_FOUND' });
}

/** True if `loadInstalled` threw because the package is not there. */
export function isMissing(error: unknown): boolean {
  return codeOf(error) === 'MODULE_NOT_FOUND';
}

function places(): readonly string[] {
  // A bundle of CommonJS has no URL.
  const url = import.meta.url as string | undefined;
  const [, program] = process.argv;
  const beside = program === undefined ? [] : [resolve(program)];
  return url?.startsWith('file:') === true ? [url, ...beside] : beside;
}
