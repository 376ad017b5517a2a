/** The event loop of a simulated process of the SDK: it may be held up, and it has one timer. */
import type { SimClock, SimTimer } from './clock.js';

export interface Ticking {
  /** When its timer is due. */
  nextMs(): number;
  tick(): void;
  /** How much later than that it may come. */
  lateMs?(): number;
}

export class EventLoop {
  readonly #clock: SimClock;
  readonly #ticking: Ticking;
  /** Where between two milliseconds of the world its clock is. */
  readonly #fraction: number;
  #stalledUntil = 0;
  #postponed: (() => void)[] = [];
  #tick: SimTimer | null = null;
  #tickAt = Infinity;
  #isOver = false;

  constructor(clock: SimClock, ticking: Ticking, fraction = 0) {
    this.#clock = clock;
    this.#ticking = ticking;
    this.#fraction = fraction;
  }

  get now(): number {
    return this.#clock.now + this.#fraction;
  }

  get isStalled(): boolean {
    return this.#stalledUntil > 0;
  }

  /** Nothing happens before `until`. */
  stall(until: number): void {
    this.#stalledUntil = until;
    this.#clock.at(until, () => {
      if (this.#stalledUntil !== until) return;
      this.#stalledUntil = 0;
      for (const action of this.#postponed.splice(0)) this.do(action);
    });
  }

  /** Does it now, or when the loop goes on; not if its process has ended. */
  do(action: () => void): void {
    if (this.#isOver) return;
    if (this.#stalledUntil > this.#clock.now) this.#postponed.push(action);
    else action();
  }

  /** As `Ticker`: a tick that comes too early does no harm. */
  wake(): void {
    const wanted = this.#ticking.nextMs();
    if (this.#isOver || wanted >= this.#tickAt || wanted === Infinity) return;
    this.#tick?.cancel();
    this.#tickAt = wanted;
    const at = Math.max(this.#clock.now, Math.ceil(wanted - this.#fraction));
    this.#tick = this.#clock.at(at + (this.#ticking.lateMs?.() ?? 0), () => {
      this.do(() => {
        this.#tickAt = Infinity;
        this.#ticking.tick();
        this.wake();
      });
    });
  }

  /** Its process ends. */
  end(): void {
    this.#isOver = true;
    this.#tick?.cancel();
  }
}
