/** Time as the thread of a store reads it and waits for it: given to whatever does, so that a simulation plays it. */

/** A time that is waited for. Only the clock that made it knows what it is. */
export type Timer = object;

export interface Clock {
  /** Monotonic milliseconds, the same in all threads of a process. */
  now(): number;
  later(ms: number, action: () => void): Timer;
  cancel(timer: Timer): void;
}

const NANOSECONDS = 1e6;
/** Each thread counts from its own beginning. */
const BEGAN_MS = Number(process.hrtime.bigint()) / NANOSECONDS - performance.now();

export const PROCESS_CLOCK: Clock = {
  now: () => BEGAN_MS + performance.now(),
  later: (ms, action) => setTimeout(action, ms),
  cancel: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

export async function sleep(clock: Clock, ms: number): Promise<void> {
  await new Promise<void>((resolve) => {
    clock.later(ms, resolve);
  });
}
