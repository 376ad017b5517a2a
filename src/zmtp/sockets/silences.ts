/**
 * Ends connections whose peers have been silent for longer than the time to live of their PING
 * (37/ZMTP §Connection Heartbeating). One timer looks after all of them.
 */

/** The unit in which a PING states its time to live. */
const LOOK_MS = 100;
const REASON = 'silent for longer than the TTL of its PING';

export interface Watched {
  /** Monotonic milliseconds. */
  readonly lastHeardAt: number;
  readonly ttlMs: number;
  /** Data from the peer may wait unread, because other connections have their turn. */
  readonly isHeldBack: boolean;
  expire(reason: string): void;
}

export class Silences {
  readonly watched = new Set<Watched>();
  readonly #clock: () => number;
  #timer: NodeJS.Timeout | null = null;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** May be called again for the same connection. */
  watch(connection: Watched): void {
    this.watched.add(connection);
    this.#timer ??= setTimeout(this.#look, LOOK_MS).unref();
  }

  readonly #look = (): void => {
    this.#timer = null;
    if (this.watched.size === 0) return;
    this.#timer = setTimeout(this.#look, LOOK_MS).unref();
    const now = this.#clock();
    const silent = [...this.watched].filter((connection) => isOver(connection, now));
    if (silent.length === 0) return;
    // If this process stalled, the peers' data arrived meanwhile: it is read between the timer and
    // this.
    setImmediate(() => {
      for (const connection of silent) if (isOver(connection, now)) connection.expire(REASON);
    });
  };
}

function isOver({ lastHeardAt, ttlMs, isHeldBack }: Watched, now: number): boolean {
  return ttlMs > 0 && !isHeldBack && now - lastHeardAt > ttlMs;
}
