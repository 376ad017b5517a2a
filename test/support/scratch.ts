import { existsSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';

const MEMORY = '/dev/shm';
/** What all clusters and stores of a run together never need. */
const FREE_BYTES = 3 * 2 ** 30;

function scratchRoot(): string {
  if (process.platform !== 'linux' || !existsSync(MEMORY)) return tmpdir();
  const { bavail, bsize } = statfsSync(MEMORY);
  return bavail * bsize > FREE_BYTES ? MEMORY : tmpdir();
}

/**
 * Where tests keep stores: in memory if there is enough. Stores sync each commit, for which a disk takes
 * milliseconds, and no test switches the machine off.
 */
export const SCRATCH = scratchRoot();
