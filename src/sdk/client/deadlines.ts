import type { MonotonicMs } from '../../core/clock.js';

/** Something that can have a deadline. The fields belong to `Deadlines`. */
export interface Timed<T> {
  /** A whole number, which V8 stores without allocating; valid while it is in a queue. */
  dueMs: MonotonicMs;
  /** When the queue gives the item, which is not after `dueMs`: a whole number, too. */
  lookMs: MonotonicMs;
  /** The queue it is in, and its neighbours there. */
  dueQueue: DueQueue<T> | null;
  dueBefore: T | null;
  dueAfter: T | null;
}

/** The items whose deadlines have the same duration, in order of time. */
export interface DueQueue<T> {
  readonly duration: number;
  first: T | null;
  last: T | null;
}

/**
 * With more different durations than this, items are in queues of durations that are shorter by at most a
 * sixteenth; one that such a queue gives too early is put into another one.
 */
const EXACT_QUEUES_MAX = 64;
const STEPS_PER_OCTAVE = 16;

/**
 * The deadlines of items, one for each, in one first-in-first-out queue per duration. A client's requests usually
 * share one time-out, so setting or clearing a deadline changes the end or the middle of one list, whose links are in
 * the items.
 */
export class Deadlines<T extends Timed<T>> {
  readonly #queues = new Map<number, DueQueue<T>>();
  #lastQueue: DueQueue<T> | null = null;
  #count = 0;
  /** No deadline is before it; the first may be later, since clearing one does not look for the next. */
  #nextMs: MonotonicMs = Infinity;

  /** Sets or moves the deadline of `item`, to the next whole millisecond of the duration. */
  set(item: T, now: MonotonicMs, durationMs: number): void {
    this.clear(item);
    this.#count++;
    const exactMs = Math.max(1, Math.ceil(durationMs));
    const queue = this.#queueFor(exactMs);
    item.dueMs = Math.ceil(now + exactMs);
    item.lookMs = Math.ceil(now + queue.duration);
    if (item.lookMs < this.#nextMs) this.#nextMs = item.lookMs;
    item.dueQueue = queue;
    item.dueBefore = queue.last;
    if (queue.last === null) queue.first = item;
    else queue.last.dueAfter = item;
    queue.last = item;
  }

  clear(item: T): void {
    const queue = item.dueQueue;
    if (queue === null) return;
    if (--this.#count === 0) this.#nextMs = Infinity;
    const { dueBefore, dueAfter } = item;
    if (dueBefore === null) queue.first = dueAfter;
    else dueBefore.dueAfter = dueAfter;
    if (dueAfter === null) queue.last = dueBefore;
    else dueAfter.dueBefore = dueBefore;
    item.dueQueue = null;
    item.dueBefore = null;
    item.dueAfter = null;
  }

  /** When `takeDue` is to be called next, or a little earlier than that; `Infinity`: there is no deadline. */
  nextMs(): MonotonicMs {
    return this.#nextMs;
  }

  /** Removes and returns one that is due, or `undefined`. */
  takeDue(now: MonotonicMs): T | undefined {
    if (now < this.#nextMs) return undefined;
    this.#nextMs = Infinity;
    for (const queue of this.#queues.values()) {
      for (let { first } = queue; first !== null && first.lookMs <= now; { first } = queue) {
        this.clear(first);
        if (first.dueMs <= now) {
          // There may be more of them.
          if (this.#count > 0) this.#nextMs = now;
          return first;
        }
        this.set(first, now, first.dueMs - now);
      }
      if (queue.first !== null && queue.first.lookMs < this.#nextMs) {
        this.#nextMs = queue.first.lookMs;
      }
    }
    return undefined;
  }

  /** All items that have a deadline, in no particular order. */
  all(): T[] {
    const items: T[] = [];
    for (const { first } of this.#queues.values()) {
      for (let item = first; item !== null; item = item.dueAfter) items.push(item);
    }
    return items;
  }

  #queueFor(exact: number): DueQueue<T> {
    if (this.#lastQueue?.duration === exact) return this.#lastQueue;
    const duration = this.#durationFor(exact);
    let queue = this.#queues.get(duration);
    if (queue === undefined) {
      queue = { duration, first: null, last: null };
      this.#queues.set(duration, queue);
    }
    this.#lastQueue = queue;
    return queue;
  }

  #durationFor(duration: number): number {
    const isExact = this.#queues.size < EXACT_QUEUES_MAX || duration === Infinity;
    if (isExact || this.#queues.has(duration)) return duration;
    for (const [other, { first }] of this.#queues) if (first === null) this.#queues.delete(other);
    if (this.#queues.size < EXACT_QUEUES_MAX) return duration;
    const step = Math.max(1, 2 ** Math.floor(Math.log2(duration)) / STEPS_PER_OCTAVE);
    return Math.floor(duration / step) * step;
  }
}
