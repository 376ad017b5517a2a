/** What a client of the map does, and when it changes which keys. */
import type { SimClock } from '../world/clock.js';
import type { SimRandom } from '../world/random.js';

export interface MapHabits {
  readonly subtree: string;
  /** Keys that it changes. */
  readonly keys: readonly string[];
  /** Pause between two changes; Infinity: it only reads. */
  readonly gapMaxMs: number;
  /** A key of its own, which it renews, and its time to live; `null`: none. */
  readonly own: { readonly key: string; readonly ttlS: number } | null;
  /** Probability that it stops reading for a while after a message. */
  readonly stopChance: number;
}

/** A client of the map, of either kind. */
export interface MapActor {
  readonly name: string;
  readonly habits: MapHabits;
  /** What it has is what there is. */
  readonly isSynced: boolean;
  /** And all its changes are acknowledged. */
  readonly isSettled: boolean;
  /** Changes that were acknowledged, in all. */
  readonly acknowledged: number;
  /** Keys and values, as Latin-1. */
  readonly values: ReadonlyMap<string, string>;
  start(): void;
  /**
   * It makes no more changes, and goes on reading and renewing. @param givesUp also on those that it has not seen
   * published: a full map takes none
   */
  rest(givesUp: boolean): void;
  /** It dies, without a word. */
  leave(): void;
}

const VALUES = ['x', 'y', 'z', ''] as const;
const TTLS_S = [0, 0, 1, 3] as const;
/** Of its time to live: how often a key is renewed. */
const RENEWALS = 3;

/** Who sends the changes. */
export interface Setter {
  /** A change of this key is not acknowledged yet. */
  isWaiting(key: string): boolean;
  /** @param value empty: the key is deleted; @param ttlS 0: it lives on */
  set(key: string, value: string, ttlS: number): void;
}

export class Writing {
  readonly #habits: MapHabits;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  readonly #setter: Setter;
  #isWriting = true;
  #isOver = false;

  constructor(habits: MapHabits, clock: SimClock, random: SimRandom, setter: Setter) {
    this.#habits = habits;
    this.#clock = clock;
    this.#random = random;
    this.#setter = setter;
  }

  start(): void {
    const { gapMaxMs, own } = this.#habits;
    if (gapMaxMs !== Infinity) this.#writeLater(gapMaxMs);
    if (own !== null) this.#renew(own);
  }

  /** Only renewals from now on. */
  rest(): void {
    this.#isWriting = false;
  }

  end(): void {
    this.#isOver = true;
  }

  #writeLater(gapMaxMs: number): void {
    this.#clock.after(this.#random.int(1, gapMaxMs), () => {
      if (this.#isOver || !this.#isWriting) return;
      const [first = 'k', ...others] = this.#habits.keys;
      const key = this.#random.pick([first, ...others]);
      const [value, ttlS] = [this.#random.pick(VALUES), this.#random.pick(TTLS_S)];
      if (!this.#setter.isWaiting(key)) this.#setter.set(key, value, ttlS);
      this.#writeLater(gapMaxMs);
    });
  }

  #renew(own: { readonly key: string; readonly ttlS: number }): void {
    if (this.#isOver) return;
    this.#setter.set(own.key, 'here', own.ttlS);
    this.#clock.after(Math.floor((own.ttlS * 1000) / RENEWALS), () => this.#renew(own));
  }
}
