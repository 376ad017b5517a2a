/**
 * Virtual time: planned actions, ordered by time and, at the same time, by when they were planned.
 */

export class SimTimer {
  readonly at: number;
  readonly order: number;
  #action: (() => void) | null;

  constructor(at: number, order: number, action: () => void) {
    this.at = at;
    this.order = order;
    this.#action = action;
  }

  cancel(): void {
    this.#action = null;
  }

  run(): void {
    const action = this.#action;
    this.#action = null;
    action?.();
  }
}

function isBefore(a: SimTimer, b: SimTimer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Ends when no promise goes on any more. */
async function drained(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

export class SimClock {
  /** Milliseconds. */
  now = 0;
  readonly #heap: SimTimer[] = [];
  #order = 0;

  /** Plans `action` to run after `delayMs`. */
  after(delayMs: number, action: () => void): SimTimer {
    return this.at(this.now + delayMs, action);
  }

  at(time: number, action: () => void): SimTimer {
    const timer = new SimTimer(Math.max(time, this.now), this.#order++, action);
    const heap = this.#heap;
    let index = heap.length;
    heap.push(timer);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(timer, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = timer;
    return timer;
  }

  /** Runs everything planned up to `time`, and advances the clock to `time`. */
  runUntil(time: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.at <= time; next = this.#heap[0]) {
      this.#takeFirst();
      this.now = next.at;
      next.run();
    }
    this.now = time;
  }

  /** Like `runUntil`, for code with promises: what an action lets go on goes on before the next action. */
  async drainUntil(time: number): Promise<void> {
    await drained();
    for (let next = this.#heap[0]; next !== undefined && next.at <= time; next = this.#heap[0]) {
      this.#takeFirst();
      this.now = next.at;
      next.run();
      await drained();
    }
    this.now = time;
  }

  #takeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      let below = heap[child];
      if (below === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, below)) {
        below = right;
        child++;
      }
      if (!isBefore(below, last)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
  }
}
