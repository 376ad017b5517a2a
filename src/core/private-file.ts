/** Files that hold secrets: only their owner may use them. */

/** The HTTP token's file, in the data directory. */
export const TOKEN_FILE = 'http.token';

const OTHERS = 0o077;

/** @param mode of the file, from `stat` */
export function mayOthersUse(mode: number): boolean {
  return (mode & OTHERS) !== 0;
}

const OTHERS_WRITE = 0o022;

/** For a directory: a user with write access can replace our files with their own. */
export function mayOthersWrite(mode: number): boolean {
  return (mode & OTHERS_WRITE) !== 0;
}
