/** Files that hold secrets: only their owner may use them, or root and a group that may read them. */

/** The HTTP token's file, in the data directory. */
export const TOKEN_FILE = 'http.token';

interface Mode {
  readonly mode: number;
  /** Of its owner. */
  readonly uid: number;
}

const OTHERS = 0o077;
/** As in PostgreSQL: what root owns, such as a mount of Kubernetes, its group may read. */
const OTHERS_IF_OF_ROOT = 0o037;

/** @param mode and uid: of the file, from `stat` */
export function mayOthersUse({ mode, uid }: Mode): boolean {
  return (mode & (uid === 0 ? OTHERS_IF_OF_ROOT : OTHERS)) !== 0;
}

const OTHERS_WRITE = 0o022;

/** For a directory: a user with write access can replace our files with their own. */
export function mayOthersWrite(mode: number): boolean {
  return (mode & OTHERS_WRITE) !== 0;
}
