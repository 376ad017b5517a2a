/** Files that hold secrets: nobody but their owner may use them. */

/** The token of HTTP, in the data directory. */
export const TOKEN_FILE = 'http.token';

const OTHERS = 0o077;

/** @param mode of the file, as `stat` tells it */
export function mayOthersUse(mode: number): boolean {
  return (mode & OTHERS) !== 0;
}
