/**
 * A connection brings the routing id of another one of the same identity (D102). The older one is
 * asked for a sign of life, and has 2 s. If it says anything, it keeps the routing id, and the
 * newcomer is refused; if not, it has vanished or is frozen, and the newcomer takes its place.
 *
 * One newcomer waits, unread: the latest, because an earlier one may be gone, too. However many come,
 * they cause one question in 2 s.
 */

/** The connection that has the routing id. */
export interface RoutingIdOwner {
  /** Data from it may wait unread, because other connections have their turn. */
  readonly isHeldBack: boolean;
  /** Asks for a sign of life. */
  ask(): void;
}

export interface TakeoverEvents<T> {
  /** The owner is gone or silent: the newcomer takes its place. */
  succeeds(newcomer: T): void;
  /** The owner lives, or another newcomer has come. */
  refused(newcomer: T): void;
}

/** An owner that says nothing for so long after it was asked loses its routing id. */
export const ANSWER_MS = 2000;

/** The claims to one owner's routing id. */
export class Takeover<T> {
  readonly #owner: RoutingIdOwner;
  readonly #canAnswer: boolean;
  readonly #events: TakeoverEvents<T>;
  readonly #clock: () => number;
  /** When the owner was last asked, in monotonic milliseconds. */
  #askedAt = -Infinity;
  /** Whether the owner was asked, and has said nothing since. */
  #isAsked = false;
  #newcomer: T | null = null;
  #timer: NodeJS.Timeout | null = null;

  /** @param canAnswer false: its silence proves nothing, only the end of its connection does */
  constructor(
    owner: RoutingIdOwner,
    canAnswer: boolean,
    events: TakeoverEvents<T>,
    clock: () => number,
  ) {
    this.#owner = owner;
    this.#canAnswer = canAnswer;
    this.#events = events;
    this.#clock = clock;
  }

  /** @returns whether the newcomer may wait; if not, the owner lives */
  admits(newcomer: T): boolean {
    const now = this.#clock();
    if (!this.#isAsked) {
      if (now - this.#askedAt < ANSWER_MS) return false;
      this.#isAsked = true;
      this.#askedAt = now;
      this.#owner.ask();
    }
    const earlier = this.#takeNewcomer();
    if (earlier !== null) this.#events.refused(earlier);
    this.#newcomer = newcomer;
    const leftMs = Math.max(0, this.#askedAt + ANSWER_MS - now);
    this.#timer = setTimeout(this.#late, leftMs, newcomer).unref();
    return true;
  }

  /** The owner has said something. */
  heard(): void {
    this.#isAsked = false;
    const newcomer = this.#takeNewcomer();
    if (newcomer !== null) this.#events.refused(newcomer);
  }

  /** The owner is gone. */
  left(): void {
    const newcomer = this.#takeNewcomer();
    if (newcomer !== null) this.#events.succeeds(newcomer);
  }

  /** The newcomer is gone. */
  forget(newcomer: T): void {
    if (newcomer === this.#newcomer) this.#takeNewcomer();
  }

  #takeNewcomer(): T | null {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const newcomer = this.#newcomer;
    this.#newcomer = null;
    return newcomer;
  }

  readonly #late = (newcomer: T): void => {
    // If this process stalled, the answer arrived meanwhile: it is read between the timer and this.
    setImmediate(() => {
      if (this.#newcomer !== newcomer) return;
      if (this.#owner.isHeldBack || !this.#canAnswer) this.heard();
      else this.left();
    });
  };
}
