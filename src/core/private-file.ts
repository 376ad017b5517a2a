/** Files that hold secrets: nobody but their owner may use them. */

/** The token of HTTP, in the data directory. */
export const TOKEN_FILE = 'http.token';

const OTHERS = 0o077;

/** @param mode of the file, as `stat` tells it */
export function mayOthersUse(mode: number): boolean {
  return (mode & OTHERS) !== 0;
}

const OTHERS_WRITE = 0o022;

/** Of a directory: who writes to it can put files of his own in the place of ours. */
export function mayOthersWrite(mode: number): boolean {
  return (mode & OTHERS_WRITE) !== 0;
}
