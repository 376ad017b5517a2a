/** What the files of a store have in common. */
import { closeSync, fsyncSync, openSync, statSync } from 'node:fs';

/** Only the owner may read requests and replies. */
export const PRIVATE_MODE = 0o600;

/** Syncs a file, or the names in a directory, to the disk. */
export function syncPath(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** The present time, for the name of a file. */
export function timestamp(): string {
  return new Date().toISOString().replaceAll(/[-:.]/g, '');
}

/** What is there in place of a file: reading it could wait for ever. `null`: a file, or nothing. */
export function otherThanFile(path: string): string | null {
  // A broker that stops may remove it at any moment.
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined || stats.isFile()) return null;
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a FIFO';
  return stats.isSocket() ? 'a socket' : 'a device';
}

/** 0 if it is absent. */
export function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
