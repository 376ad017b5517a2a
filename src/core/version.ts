import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

interface Manifest {
  readonly version: string;
  readonly engines: { readonly node: string };
}

let known: Manifest | null = null;

/**
 * This package's `package.json`, above the folder of the code. (Node takes 2 ms to find a package by its name.)
 */
function manifest(): Manifest {
  if (known !== null) return known;
  let folder = dirname(dirname(dirname(import.meta.filename)));
  // Of a test, the code is one folder further down.
  if (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  known = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
  return known;
}

/** The version of this package. */
export function packageVersion(): string {
  return manifest().version;
}

/** The oldest Node.js that this program runs on, such as `22.17`. */
export function leastNode(): string {
  return manifest().engines.node.replace('>=', '');
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
