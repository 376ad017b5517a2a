import { setTimeout as delay } from 'node:timers/promises';
import type { Socket } from 'zeromq';
import { monotonicMs } from '../../core/clock.js';

/** How often a closing adapter checks whether its queues are empty. */
const LOOK_INTERVAL_MS = 2;
/** How long libzmq's threads may take to close a socket after the linger time. */
const REAP_MS_MAX = 1000;

/**
 * How long nothing may have been sent or received before a socket is closed. Its linger time is not enough: a
 * connection that is closed while it has unread input is reset, and the kernel then drops output that the peer has not
 * read (findings/libzmq-linger-unread.sh).
 */
const QUIET_MS = 50;

/**
 * Resolves when `empty` returns true and the socket has been quiet for a while, or at the deadline.
 * @param lastUsedMs when a message was last sent or received
 */
export async function untilLeft(
  empty: () => boolean,
  lastUsedMs: () => number,
  deadlineMs: number,
): Promise<void> {
  for (;;) {
    const nowMs = monotonicMs();
    if (nowMs >= deadlineMs || (empty() && nowMs - lastUsedMs() >= QUIET_MS)) return;
    await delay(LOOK_INTERVAL_MS);
  }
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
