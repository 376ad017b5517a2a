import { setTimeout as delay } from 'node:timers/promises';
import type { Socket } from 'zeromq';
import { monotonicMs } from '../../core/clock.js';

/** How often a closing adapter checks whether its queues are empty. */
const LOOK_INTERVAL_MS = 2;
/** How long libzmq's threads may take to close a socket after the linger time. */
const REAP_MS_MAX = 1000;

/** Resolves when `empty` returns true, or at the deadline. */
export async function waitUntil(empty: () => boolean, deadlineMs: number): Promise<void> {
  while (!empty() && monotonicMs() < deadlineMs) await delay(LOOK_INTERVAL_MS);
}

/**
 * Closes a socket and resolves when libzmq has released it: its output has been written or dropped,
 * its ports are free and its ipc paths removed. The end of its monitor indicates this.
 * @param ended resolves at that end, where the caller reads the monitor itself
 */
export async function closeAndReap(
  socket: Socket,
  lingerMs: number,
  ended: Promise<void> = untilMonitorEnds(socket.events),
): Promise<void> {
  const observer = socket.events;
  socket.linger = Math.ceil(lingerMs);
  socket.close();
  const timeout = new AbortController();
  const late = delay(lingerMs + REAP_MS_MAX, undefined, { signal: timeout.signal });
  await Promise.race([ended, late.catch(() => undefined)]);
  timeout.abort();
  observer.close();
}

async function untilMonitorEnds(observer: Socket['events']): Promise<void> {
  try {
    while (!observer.closed) {
      if ((await observer.receive()).type === 'end') return;
    }
  } catch {
    // The monitor was closed during a pending receive: it has ended all the same.
  }
}
