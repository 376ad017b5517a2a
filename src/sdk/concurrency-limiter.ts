/** Who waits for a place. */
export interface SlotTaker {
  /** There is one: take it, or let it be. */
  slotIsFree(): void;
}

/** What a worker may run at once, shared by its registrations at all endpoints. */
export class ConcurrencyLimiter {
  #free: number;
  /** In order. */
  readonly #waiting = new Set<SlotTaker>();

  constructor(count: number) {
    this.#free = count;
  }

  /** @returns false if there is none now: `placeIsFree` tells when there is */
  take(taker: SlotTaker): boolean {
    if (this.#free === 0) {
      this.#waiting.add(taker);
      return false;
    }
    this.#free--;
    return true;
  }

  free(): void {
    this.#free++;
    // Who still wants one after its turn stands at the end again.
    for (const taker of this.#waiting) {
      if (this.#free === 0) return;
      this.#waiting.delete(taker);
      taker.slotIsFree();
    }
  }
}
