import { totalmem } from 'node:os';

const MOST_BYTES = 2 * 1024 ** 3;
const SHARE = 1 / 3;

/**
 * Bytes of memory that this process may use: the limit of its cgroup (v1, v2), or the machine's
 * memory.
 */
export function allowedMemory(): number {
  const total = totalmem();
  // 0 or a huge number if there is no limit.
  const allowed = process.constrainedMemory();
  return allowed > 0 && allowed < total ? allowed : total;
}

/** The default of `limits.memoryBytes` (D77). */
export function memoryDefault(): number {
  return Math.min(MOST_BYTES, Math.floor(allowedMemory() * SHARE));
}
