/**
 * The `testSequencer` of jest.config.js: the files that take longest run first, so that none of them runs alone at the
 * end. (Jest knows from its cache how long a file took, and a fresh clone has none.)
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Seconds of each file that took at least one, when `node scripts/test.mjs --record` ran. */
export const SECONDS_FILE = fileURLToPath(new URL('test-seconds.json', import.meta.url));
/** Of other files. */
const SHORT_SECONDS = 0.3;

const recorded = JSON.parse(readFileSync(SECONDS_FILE, 'utf8'));

/** `test/SUITE/…` of a compiled file. */
export function nameOf(path) {
  const file = path.replaceAll('\\', '/');
  return file.slice(file.lastIndexOf('/build/') + '/build/'.length).replace(/\.js$/, '.ts');
}

export const secondsOf = ({ path }) => recorded[nameOf(path)] ?? SHORT_SECONDS;

/** Seconds of all files of this run, one after the other. */
export let allSeconds = 0;

export default class LongestFirst {
  sort(tests) {
    allSeconds = tests.reduce((sum, test) => sum + secondsOf(test), 0);
    return [...tests].sort((a, b) => secondsOf(b) - secondsOf(a));
  }

  cacheResults() {
    // They are in the file.
  }
}
