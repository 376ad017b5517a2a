import { performance } from 'node:perf_hooks';

/** Milliseconds that only ever grow; their zero means nothing. Liveness and deadlines use them. */
export type MonotonicMs = number;

/** The clock of the running process. Machines never read it: time is an argument to them. */
export function monotonicMs(): MonotonicMs {
  return performance.now();
}
