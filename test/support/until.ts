import { setTimeout as pause } from 'node:timers/promises';

import { Patience } from './patience.js';

const LOOK_INTERVAL_MS = 2;

/** Waits for something that reports no event; `what` is the message if it does not happen. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  patience = new Patience(),
): Promise<void> {
  while (!(await holds())) {
    if (patience.isOver) {
      throw new Error(`did not happen within ${patience.waitedMs} ms: ${what}`);
    }
    const began = performance.now();
    await pause(LOOK_INTERVAL_MS);
    patience.late(performance.now() - began - LOOK_INTERVAL_MS);
  }
}
