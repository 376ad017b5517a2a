import { readFileSync } from 'node:fs';

/** Nanoseconds for which the calling thread has had a processor; NaN where the kernel does not tell. */
export function threadCpuNs(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]);
  } catch {
    return NaN;
  }
}
