import { setTimeout as pause } from 'node:timers/promises';

const DEADLINE_MS = 60_000;
const LOOK_INTERVAL_MS = 2;

/** Waits for something that reports no event; `what` is the message if it does not happen. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) {
      throw new Error(`did not happen within ${DEADLINE_MS} ms: ${what}`);
    }
    await pause(LOOK_INTERVAL_MS);
  }
}
