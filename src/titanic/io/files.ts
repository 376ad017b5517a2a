/** What the files of a store have in common. */
import { closeSync, fsyncSync, openSync, statSync } from 'node:fs';

/** Requests and replies are for their owner only. */
export const PRIVATE_MODE = 0o600;

/** Writes to the disk what the system still holds of a file, or of the names in a directory. */
export function syncPath(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** 0 if it is absent. */
export function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
