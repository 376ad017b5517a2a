/** File descriptors belong to the process: all its listeners share what the system allows it. */
import { readFileSync } from 'node:fs';

/** Kept for what is no connection of a peer: the store, the log, HTTP, the pair's link. */
const RESERVED_MAX = 512;
const RESERVED_SHARE = 8;

/** Of all that this process may have; read once. */
const limit: number = read();

/** Descriptors that no listener of this room takes. */
export const reserved: number = Math.min(RESERVED_MAX, Math.floor(limit / RESERVED_SHARE));

/** Connections that this process may accept, for want of descriptors. */
export const acceptable: number = limit - reserved;

/** How many it has accepted that are open. */
export const accepted: { open: number } = { open: 0 };

function read(): number {
  try {
    // Node has raised its soft limit to the hard one before anything of this runs.
    const limits = readFileSync('/proc/self/limits', 'latin1');
    return Number(/^Max open files +([0-9]+) /m.exec(limits)?.[1] ?? Infinity);
  } catch {
    return Infinity;
  }
}
