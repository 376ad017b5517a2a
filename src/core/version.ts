import { createRequire } from 'node:module';

import { codeOf } from './errors.js';

const require = createRequire(import.meta.url);

interface Manifest {
  readonly version: string;
  readonly engines: { readonly node: string };
  readonly testedNodes: readonly string[];
}

/**
 * The `package.json` of this package. (Node takes 2 ms to find a package by its name.)
 * @param up from the folder of the code; that of a test is one folder further down
 */
function manifest(up = '../..'): Manifest {
  try {
    return require(`${up}/package.json`) as Manifest;
  } catch (error) {
    if (codeOf(error) === 'MODULE_NOT_FOUND' && up === '../..') return manifest('../../..');
    throw error;
  }
}

/** The version of this package. */
export function packageVersion(): string {
  return manifest().version;
}

/** The oldest Node.js that this program runs on, such as `22.17`. */
export function leastNode(): string {
  return manifest().engines.node.replace('>=', '');
}

/** The newest Node.js of each line that this version was run on, such as `24.22.3`. */
export function testedNodes(): readonly string[] {
  return manifest().testedNodes;
}

/** Compares dotted version numbers. */
export function atLeast(version: string, least: string): boolean {
  const [given, wanted] = [numbers(version), numbers(least)];
  for (let index = 0; index < wanted.length; index++) {
    const difference = (given[index] ?? 0) - (wanted[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

function numbers(version: string): readonly number[] {
  return version.split('.').map((part) => Number.parseInt(part, 10));
}
