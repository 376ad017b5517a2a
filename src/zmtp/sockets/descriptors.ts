/** File descriptors belong to the process: all its listeners share the system's limit. */
import { readFileSync } from 'node:fs';

/** Reserved for other uses: the store, the log, HTTP, the pair's link. */
const RESERVED_MAX = 512;
const RESERVED_SHARE = 8;

/** The process's limit; read once. */
const limit: number = read();

/** Descriptors that listeners for peers do not use. */
export const reserved: number = Math.min(RESERVED_MAX, Math.floor(limit / RESERVED_SHARE));

/** Number of connections that this process may accept. */
export const acceptable: number = limit - reserved;

/** Number of accepted connections that are open. */
export const accepted: { open: number } = { open: 0 };

function read(): number {
  try {
    // Node has already raised its soft limit to the hard limit.
    const limits = readFileSync('/proc/self/limits', 'latin1');
    return Number(/^Max open files +([0-9]+) /m.exec(limits)?.[1] ?? Infinity);
  } catch {
    return Infinity;
  }
}
