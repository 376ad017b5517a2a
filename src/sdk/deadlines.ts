import type { MonotonicMs } from '../core/clock.js';

/** What can have a deadline. */
export interface Timed {
  dueMs: MonotonicMs;
  /** The duration whose queue it stands in; 0 for none. Belongs to `Deadlines`. */
  dueQueue: number;
}

/** Beyond so many different durations they are rounded up, by at most a sixteenth. */
const EXACT_QUEUES_MAX = 64;
const STEPS_PER_OCTAVE = 16;

/**
 * One deadline for each of many things: first in, first out for each duration. All of a client's
 * requests usually have the same time-out, so that setting and clearing one is setting and clearing
 * an entry of one ordered set.
 */
export class Deadlines<T extends Timed> {
  readonly #queues = new Map<number, Set<T>>();

  /** Sets or moves the deadline of `item`, to the next whole millisecond of the duration. */
  set(item: T, now: MonotonicMs, durationMs: number): void {
    this.clear(item);
    const duration = this.#queueFor(Math.max(1, Math.ceil(durationMs)));
    item.dueMs = now + duration;
    item.dueQueue = duration;
    const queue = this.#queues.get(duration);
    if (queue === undefined) this.#queues.set(duration, new Set([item]));
    else queue.add(item);
  }

  clear(item: T): void {
    if (item.dueQueue === 0) return;
    this.#queues.get(item.dueQueue)?.delete(item);
    item.dueQueue = 0;
    item.dueMs = Infinity;
  }

  /** When the next deadline is; `Infinity` if there is none. */
  nextMs(): MonotonicMs {
    let next = Infinity;
    for (const queue of this.#queues.values()) {
      for (const first of queue) {
        if (first.dueMs < next) next = first.dueMs;
        break;
      }
    }
    return next;
  }

  /** Takes out one that is due, or gives `undefined`. */
  takeDue(now: MonotonicMs): T | undefined {
    for (const queue of this.#queues.values()) {
      for (const first of queue) {
        if (first.dueMs > now) break;
        this.clear(first);
        return first;
      }
    }
    return undefined;
  }

  #queueFor(duration: number): number {
    if (this.#queues.size < EXACT_QUEUES_MAX || this.#queues.has(duration)) return duration;
    for (const [other, queue] of this.#queues) if (queue.size === 0) this.#queues.delete(other);
    if (this.#queues.size < EXACT_QUEUES_MAX) return duration;
    const step = Math.max(1, 2 ** Math.floor(Math.log2(duration)) / STEPS_PER_OCTAVE);
    return Math.ceil(duration / step) * step;
  }
}
