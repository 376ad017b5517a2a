/** Files that hold secrets: only their owner may use them; if root owns one, its group may read it. */

import { HAS_MODES } from './system.js';

/** The HTTP token's file, in the data directory. */
export const TOKEN_FILE = 'http.token';

interface Mode {
  readonly mode: number;
  /** The user id of its owner. */
  readonly uid: number;
}

const OTHERS = 0o077;
/** Bits that a file of root, such as a mount of Kubernetes, must lack: as in PostgreSQL, its group may read it. */
const OTHERS_IF_OF_ROOT = 0o037;

/** @param mode and uid: of the file, from `stat` */
export function mayOthersUse({ mode, uid }: Mode): boolean {
  return HAS_MODES && (mode & (uid === 0 ? OTHERS_IF_OF_ROOT : OTHERS)) !== 0;
}

/** The shell command that gives a file a mode with which nobody else may use it. @param file its name */
export function privateRemedy({ uid }: Mode, file: string): string {
  // What root owns is often for a broker that runs as another user, which is in its group.
  return `chmod ${uid === 0 ? '640' : '600'} ${file}`;
}

const OTHERS_WRITE = 0o022;

/** Whether others may write to a directory, and so replace our files with their own. */
export function mayOthersWrite(mode: number): boolean {
  return HAS_MODES && (mode & OTHERS_WRITE) !== 0;
}
