import { performance } from 'node:perf_hooks';

/** Milliseconds that never decrease; the zero point is arbitrary. For liveness and deadlines. */
export type MonotonicMs = number;

/** The clock of the running process. Machines never read it: time is an argument to them. */
export const monotonicMs: () => MonotonicMs = performance.now.bind(performance);

/** The source of time. */
export interface Time {
  /** Monotonic milliseconds. */
  now(): number;
  /** Milliseconds since 1970; may be wrong and may jump. */
  wall(): number;
}

export const SYSTEM_TIME: Time = { now: monotonicMs, wall: () => Date.now() };
