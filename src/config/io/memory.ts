import { totalmem } from 'node:os';

const MOST_BYTES = 2 * 1024 ** 3;
const SHARE = 1 / 3;

/** Bytes of memory that this process may use: what its cgroup allows (v1, v2), or what there is. */
export function allowedMemory(): number {
  const total = totalmem();
  // 0 or a huge number where there is no limit.
  const allowed = process.constrainedMemory();
  return allowed > 0 && allowed < total ? allowed : total;
}

/** The default of `limits.memoryBytes` (D77). */
export function memoryDefault(): number {
  return Math.min(MOST_BYTES, Math.floor(allowedMemory() * SHARE));
}
