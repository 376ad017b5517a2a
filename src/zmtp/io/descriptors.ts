/** File descriptors belong to the process: all its listeners share what the system allows it. */
import { readFileSync } from 'node:fs';

/** Kept for what is no accepted connection: files, libraries, other servers. */
const RESERVED_MAX = 100;
const RESERVED_SHARE = 8;

/** Connections that this process may accept, for want of descriptors; read once. */
export const acceptable: number = read();

/** How many it has accepted that are open. */
export const accepted: { open: number } = { open: 0 };

function read(): number {
  try {
    // Node has raised its soft limit to the hard one before anything of this runs.
    const limits = readFileSync('/proc/self/limits', 'latin1');
    const soft = Number(/^Max open files +([0-9]+) /m.exec(limits)?.[1] ?? Infinity);
    return Math.floor(soft - Math.min(RESERVED_MAX, soft / RESERVED_SHARE));
  } catch {
    return Infinity;
  }
}
