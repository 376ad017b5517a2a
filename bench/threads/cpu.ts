import { readFileSync } from 'node:fs';

/** CPU time of the calling thread, in nanoseconds; NaN if the kernel does not report it. */
export function threadCpuNs(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]);
  } catch {
    return NaN;
  }
}
