/**
 * Raises the priority of everything that is measured, if permitted, so that other processes disturb
 * it less. Child processes inherit it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';

const PRIORITY = -10;
/** Linux first divides a core between sessions; priorities only count within one. */
const SESSION = '/proc/self/autogroup';

let before = 0;

/** @returns false if it is not permitted or not supported */
export function raisePriority(): boolean {
  try {
    setPriority(PRIORITY);
    before = Number(/nice (-?\d+)/.exec(readFileSync(SESSION, 'latin1'))?.[1] ?? 0);
    writeFileSync(SESSION, String(PRIORITY));
    return true;
  } catch {
    return false;
  }
}

/** Restores the session's priority: the shell that started this program belongs to it, too. */
export function lowerPriority(): void {
  try {
    writeFileSync(SESSION, String(before));
  } catch {
    // It was not raised either.
  }
}
