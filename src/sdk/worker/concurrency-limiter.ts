/** A session that waits for a slot. */
export interface SlotTaker {
  /** A slot is free: take it, or leave it. */
  slotIsFree(): void;
}

/** How many requests a worker may run at once, shared by its registrations at all endpoints. */
export class ConcurrencyLimiter {
  #free: number;
  /** In order. */
  readonly #waiting = new Set<SlotTaker>();

  constructor(count: number) {
    this.#free = count;
  }

  /** @returns false if no slot is free: `slotIsFree` is called when one is */
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
    if (this.#waiting.size === 0) return;
    // A session that wants another slot after its turn goes to the end of the queue.
    for (const taker of this.#waiting) {
      if (this.#free === 0) return;
      this.#waiting.delete(taker);
      taker.slotIsFree();
    }
  }
}
