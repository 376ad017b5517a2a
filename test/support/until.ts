import { setTimeout as pause } from 'node:timers/promises';

const DEADLINE_MS = 60_000;
const LOOK_INTERVAL_MS = 2;

/** Waits for something that reports no event; `what` is the message if it does not happen. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  deadlineMs = DEADLINE_MS,
): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await holds())) {
    if (performance.now() > deadline) {
      throw new Error(`did not happen within ${deadlineMs} ms: ${what}`);
    }
    await pause(LOOK_INTERVAL_MS);
  }
}
