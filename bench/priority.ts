/**
 * A priority for everything that is measured, where this is permitted: what else runs on the machine
 * then disturbs less. Children inherit it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';

const PRIORITY = -10;
/** Linux shares a core among sessions first; within one, priorities count. */
const SESSION = '/proc/self/autogroup';

let before = 0;

/** @returns false where it is not permitted, or there is nothing of this kind */
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

/** Gives the session its priority back: the shell that this was started from belongs to it. */
export function lowerPriority(): void {
  try {
    writeFileSync(SESSION, String(before));
  } catch {
    // It was not raised either.
  }
}
