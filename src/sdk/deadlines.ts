import type { MonotonicMs } from '../core/clock.js';

/** Something that can have a deadline. */
export interface Timed {
  dueMs: MonotonicMs;
  /** The duration whose queue it is in; 0 for none. Belongs to `Deadlines`. */
  dueQueue: number;
}

/** With more different durations than this, durations are rounded up, by at most a sixteenth. */
const EXACT_QUEUES_MAX = 64;
const STEPS_PER_OCTAVE = 16;

/**
 * One deadline for each item, in one first-in-first-out queue per duration. A client's requests
 * usually share one time-out, so setting or clearing a deadline is one operation on an ordered set.
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

  /** Removes and returns one that is due, or `undefined`. */
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
