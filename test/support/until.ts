import { Patience } from './patience.js';

const LOOK_INTERVAL_MS = 2;

/** Waits for something that reports no event; `what` is the message if it does not happen. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string | (() => string),
  patience = new Patience(),
): Promise<void> {
  while (!(await holds())) {
    if (patience.isOver) {
      throw new Error(
        `did not happen within ${patience.waitedMs} ms: ${typeof what === 'string' ? what : what()}`,
      );
    }
    await patience.pause(LOOK_INTERVAL_MS);
  }
}
