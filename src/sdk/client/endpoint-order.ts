/** Which endpoint is asked next, and when, so that a pair is not hurried (docs/sdk-delivery.md). */
import type { MonotonicMs } from '../../core/clock.js';
import { type BackoffOptions, backoffMs, type Random } from '../backoff.js';

/** How long a left endpoint is not asked again, in heartbeats of the pair. */
const AWAY_HEARTBEATS = 2;

/**
 * Why an endpoint is left. *silent*: it counts as dead; *quiet*: it may be dead, but its late
 * answers are used; *refused*: it is alive, but does not serve; *unreachable*: it has no
 * connection; *returned*: one that is preferred to it is alive again (Freelance).
 */
export type Leaving = 'silent' | 'quiet' | 'refused' | 'unreachable' | 'returned';

export interface EndpointOrderOptions extends BackoffOptions {
  /** Number of endpoints. */
  readonly endpoints: number;
}

export class EndpointOrder {
  /** 0: unknown, or not a pair. */
  pairHeartbeatMs = 0;
  readonly #options: EndpointOrderOptions;
  readonly #random: Random;
  #leftFirstMs: MonotonicMs = -Infinity;
  /** Until when asking each endpoint is of no use, if there is another. */
  readonly #uselessUntilMs: MonotonicMs[];
  /** Endpoints in a row that refused or had no connection. */
  #moves = 0;

  constructor(options: EndpointOrderOptions, random: Random) {
    this.#options = options;
    this.#random = random;
    this.#uselessUntilMs = Array.from({ length: options.endpoints }, () => -Infinity);
  }

  after(endpoint: number): number {
    return (endpoint + 1) % this.#options.endpoints;
  }

  /** A request was answered. */
  answered(): void {
    this.#moves = 0;
  }

  /**
   * The endpoint has refused.
   * @returns whether to ask the next at once: not if that is of no use, too
   */
  refused(endpoint: number, now: MonotonicMs): boolean {
    this.#uselessUntilMs[endpoint] = now + this.#awayMs;
    const next = this.after(endpoint);
    const uselessUntilMs = this.#uselessUntilMs[next] ?? -Infinity;
    return Math.max(uselessUntilMs, this.#notBeforeMs(next)) <= now;
  }

  /** The endpoint is left for the next. @returns when that may be dialled */
  leave(endpoint: number, why: Leaving, now: MonotonicMs): MonotonicMs {
    if (endpoint === 0) this.#leftFirstMs = now;
    // The peer of this broker finds it dead within two heartbeats, and takes over when it is asked after that.
    if (why === 'unreachable') this.#uselessUntilMs[endpoint] = now + 2 * this.#awayMs;
    return Math.max(now + this.#pauseMs(why), this.#notBeforeMs(this.after(endpoint)));
  }

  get #awayMs(): number {
    return this.pairHeartbeatMs * AWAY_HEARTBEATS;
  }

  #notBeforeMs(endpoint: number): MonotonicMs {
    const isReturn = endpoint === 0 && this.#options.endpoints > 1;
    return isReturn ? this.#leftFirstMs + this.#awayMs : -Infinity;
  }

  /**
   * The silence was pause enough. An immediate failure needs a pause once every endpoint had its
   * turn.
   */
  #pauseMs(why: Leaving): number {
    if (why === 'silent' || why === 'quiet') return 0;
    this.#moves++;
    const rounds = this.#moves - this.#options.endpoints + 1;
    return rounds <= 0 ? 0 : backoffMs(this.#options, rounds, this.#random);
  }
}
