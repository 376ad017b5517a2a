/**
 * Connections that are shaking hands, and those that wait for it. Handshakes cost CPU before
 * anybody has shown a key, so how many run at once is bounded, and with CURVE how many begin in a
 * second: a flood of them, true or replayed, takes that and no more from those who are served.
 */
import type { Socket } from 'node:net';

import { Chain } from '../../core/chain.js';
import { monotonicMs } from '../../core/clock.js';
import type { RouterPeer } from './router-peer.js';

/** A connection that has not shaken hands by then is closed. */
const HANDSHAKE_MS_MAX = 3000;
/** A peer that waits for our whole greeting before it sends its own is shown it after this. */
const GREETING_WAIT_MS = 100;
const CHECK_MS = 50;
/** At once, over all listeners. */
const HANDSHAKES_MAX = 1024;
/** One that takes longer makes room for a new one, so that the idle keep nobody out. */
const HURRIED_MS = 500;
/** With CURVE, about 0.8 ms of CPU each: 400 in a second. */
const SEALED_PER_CHECK_MAX = 20;

interface Delayed {
  readonly socket: Socket;
  readonly begin: () => void;
}

export class Handshakes {
  /** Oldest first. */
  readonly #running = new Chain<RouterPeer>();
  #count = 0;
  #delayed: Delayed[] = [];
  /** Handshakes with CURVE that may still begin before the next check. */
  #sealedLeft = SEALED_PER_CHECK_MAX;
  #timer: NodeJS.Timeout | null = null;

  /** Whether one more may begin; if need be, because the oldest that is slow is ended. */
  hasRoom(): boolean {
    if (this.#count < HANDSHAKES_MAX) return true;
    const oldest = this.#running.head?.owner;
    if (oldest === undefined || monotonicMs() - oldest.acceptedAt < HURRIED_MS) return false;
    oldest.failed('handshakes', 'a slow handshake made room for another');
    return true;
  }

  /**
   * Begins a handshake with CURVE as soon as there is time for it: at once, as long as they are few.
   * @returns false if too many wait already
   */
  delay(socket: Socket, begin: () => void): boolean {
    this.#check();
    if (this.#sealedLeft > 0) {
      this.#sealedLeft--;
      begin();
      return true;
    }
    if (this.#delayed.length >= HANDSHAKES_MAX) return false;
    this.#delayed.push({ socket, begin });
    // Until it has a peer, nobody else listens; it is destroyed then.
    socket.on('error', () => undefined);
    return true;
  }

  add(peer: RouterPeer): void {
    this.#count++;
    this.#running.append(peer.handshake);
    this.#check();
  }

  remove(peer: RouterPeer): void {
    if (peer.handshake.chain === null) return;
    peer.handshake.leave();
    this.#count--;
  }

  /** No more; those that wait are closed. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#sealedLeft = 0;
    for (const { socket } of this.#delayed) socket.destroy();
    this.#delayed = [];
  }

  #check(): void {
    this.#timer ??= setTimeout(this.#checkNow, CHECK_MS);
  }

  readonly #checkNow = (): void => {
    this.#timer = null;
    const now = monotonicMs();
    for (let link = this.#running.head; link !== null;) {
      const { next, owner } = link;
      const waitedMs = now - owner.acceptedAt;
      if (waitedMs < GREETING_WAIT_MS) break;
      if (waitedMs < HANDSHAKE_MS_MAX) owner.showGreeting();
      else owner.failed('handshake', 'the handshake took too long');
      link = next;
    }
    this.#beginDelayed();
    if (this.#running.head !== null || this.#delayed.length > 0) this.#check();
  };

  #beginDelayed(): void {
    this.#sealedLeft = SEALED_PER_CHECK_MAX;
    let taken = 0;
    for (const { socket, begin } of this.#delayed) {
      if (this.#sealedLeft === 0) break;
      taken++;
      // Those that have left meanwhile cost nothing.
      if (socket.destroyed) continue;
      this.#sealedLeft--;
      begin();
    }
    this.#delayed.splice(0, taken);
  }
}
