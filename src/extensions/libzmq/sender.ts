import { monotonicMs } from '../../core/clock.js';
import { codeOf } from '../../core/errors.js';
import type { SendOutcome, RouterPeer } from './peer.js';

/** Messages sent before timers and other sockets get their turn. */
const MESSAGES_PER_TURN = 256;
const RETRY_MS_MIN = 1;
const RETRY_MS_MAX = 50;
/** Blocked peers retried per tick; the others follow at the next ticks. */
const RETRIES_PER_TICK = 256;

/** Events about peers; they may also be reported during `flush`. */
interface SenderEvents {
  drained(peer: RouterPeer): void;
  gone(peer: RouterPeer): void;
}

/**
 * Gives libzmq the messages in the peers' outboxes, one at a time for each peer: if the next were
 * given before the outcome of the last is known, it could overtake one that was refused.
 */
export class Sender implements SendOutcome {
  readonly #events: SenderEvents;
  /** When libzmq took the last message for any peer. */
  lastSentMs = -Infinity;
  #dirty: RouterPeer[] = [];
  /** Peers that continue in the next turn of the loop. */
  #resting: RouterPeer[] = [];
  #sentInTurn = 0;
  #turnAwaited = false;
  readonly blocked = new Set<RouterPeer>();
  #retryMs = RETRY_MS_MIN;
  #timer: NodeJS.Timeout | undefined;

  constructor(events: SenderEvents) {
    this.#events = events;
  }

  /** Something was written to the peer's outbox: the next flush sends it. */
  wrote(peer: RouterPeer): void {
    if (peer.dirty) return;
    peer.dirty = true;
    this.#dirty.push(peer);
  }

  flush(): void {
    if (this.#dirty.length === 0) return;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const peer of dirty) {
      peer.dirty = false;
      if (!peer.sending && !peer.blocked) this.#next(peer);
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.blocked.clear();
    this.#dirty = [];
    this.#resting = [];
  }

  sent(peer: RouterPeer): void {
    peer.sending = false;
    this.lastSentMs = monotonicMs();
    if (peer.gone) return;
    if (peer.blocked) this.#unblock(peer);
    peer.outbox.shift();
    peer.countOutput();
    this.#next(peer);
  }

  failed(peer: RouterPeer, error: unknown): void {
    peer.sending = false;
    if (peer.gone || peer.listening.socket.closed) return;
    const code = codeOf(error);
    if (code === 'EAGAIN') {
      peer.blocked = true;
      // Moved to the end of the set, so that all get their turn.
      this.blocked.delete(peer);
      this.blocked.add(peer);
      this.#awaitRetry();
    } else if (code === 'EHOSTUNREACH') {
      this.#events.gone(peer);
    } else {
      throw error;
    }
  }

  #next(peer: RouterPeer): void {
    if (peer.gone) return;
    const message = peer.outbox.peek();
    if (message === undefined) {
      if (peer.outbox.full || peer.isAwaited) this.#events.drained(peer);
      return;
    }
    if (this.#sentInTurn++ < MESSAGES_PER_TURN) {
      peer.send(message);
    } else {
      peer.sending = true;
      this.#resting.push(peer);
    }
    if (this.#turnAwaited) return;
    this.#turnAwaited = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#turnAwaited = false;
    this.#sentInTurn = 0;
    const resting = this.#resting;
    this.#resting = [];
    for (const peer of resting) {
      peer.sending = false;
      this.#next(peer);
    }
  }

  #unblock(peer: RouterPeer): void {
    peer.blocked = false;
    this.blocked.delete(peer);
    this.#retryMs = RETRY_MS_MIN;
  }

  #awaitRetry(): void {
    this.#timer ??= setTimeout(() => this.#retry(), this.#retryMs);
  }

  #retry(): void {
    this.#timer = undefined;
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
    let left = RETRIES_PER_TICK;
    for (const peer of this.blocked) {
      if (left-- === 0) break;
      const message = peer.outbox.peek();
      if (!peer.sending && message !== undefined) peer.send(message);
    }
    if (this.blocked.size > 0) this.#awaitRetry();
  }
}
