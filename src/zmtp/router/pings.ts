/**
 * Finds peers that have vanished although they are silent by design: sends them PINGs and ends the
 * connections of those that do not answer (37/ZMTP §Connection Heartbeating; D35). Peers that do not
 * know PING are left alone.
 */
import type { PingIntervals } from '../port.js';

/** A connection, as `SocketShell` has it. */
export interface Pinged {
  /** Monotonic milliseconds. */
  readonly lastHeardAt: number;
  /** Data from the peer may wait unread, because other connections have their turn. */
  readonly isHeldBack: boolean;
  readonly connection: { readonly canPing: boolean; ping(): void };
  flush(): void;
  /** Ends the connection. */
  expire(reason: string): void;
}

/** How many times in an interval the connections are looked at. */
const LOOKS_PER_INTERVAL = 4;

export class Pings {
  readonly #everyMs: number;
  readonly #silentMs: number;
  readonly #clock: () => number;
  /** When each was last sent a PING, in monotonic milliseconds. */
  readonly pingedAt = new Map<Pinged, number>();
  #timer: NodeJS.Timeout | null = null;
  #isStopped = false;

  constructor({ everyMs, silentMs }: PingIntervals, clock: () => number) {
    this.#everyMs = everyMs;
    this.#silentMs = silentMs;
    this.#clock = clock;
  }

  watch(peer: Pinged): void {
    if (!peer.connection.canPing) return;
    this.pingedAt.set(peer, -Infinity);
    this.#arm();
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #arm(): void {
    if (this.#isStopped || this.pingedAt.size === 0) return;
    this.#timer ??= setTimeout(this.#look, this.#everyMs / LOOKS_PER_INTERVAL).unref();
  }

  readonly #look = (): void => {
    this.#timer = null;
    this.#arm();
    const now = this.#clock();
    const silent: Pinged[] = [];
    for (const [peer, pingedAt] of this.pingedAt) {
      if (this.#isSilent(peer, now)) {
        silent.push(peer);
      } else if (now - Math.max(peer.lastHeardAt, pingedAt) >= this.#everyMs) {
        this.pingedAt.set(peer, now);
        peer.connection.ping();
        peer.flush();
      }
    }
    if (silent.length === 0) return;
    // If this process stalled, their answers arrived meanwhile: they are read between the timer and
    // this.
    setImmediate(() => {
      for (const peer of silent) {
        if (this.pingedAt.has(peer) && this.#isSilent(peer, now)) peer.expire('answered no PING');
      }
    });
  };

  /** Whether a peer was asked, and has said nothing for too long. */
  #isSilent(peer: Pinged, now: number): boolean {
    if (peer.isHeldBack || (this.pingedAt.get(peer) ?? -Infinity) < peer.lastHeardAt) return false;
    return now - peer.lastHeardAt >= this.#silentMs;
  }
}
