import { Patience } from './patience.js';

const LOOK_INTERVAL_MS = 2;
const LOOK_INTERVAL_MAX_MS = 100;
/** The pause after a look, of the time that it took: looks take little from what they wait for. */
const PAUSE_FACTOR = 4;

/** Waits for something that reports no event; `what` is the message if it does not happen. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string | (() => string),
  patience = new Patience(),
): Promise<void> {
  for (;;) {
    const began = performance.now();
    if (await holds()) return;
    const took = performance.now() - began;
    if (patience.isOver) {
      throw new Error(
        `did not happen within ${patience.waitedMs} ms: ${typeof what === 'string' ? what : what()}`,
      );
    }
    const ms = Math.max(LOOK_INTERVAL_MS, PAUSE_FACTOR * took);
    await patience.pause(Math.min(ms, LOOK_INTERVAL_MAX_MS));
  }
}
