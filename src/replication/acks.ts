import { OldestFirst } from '../core/oldest-first.js';

/**
 * Batches that are at the peer or wait to be sent, and when their wait began. Monotonic
 * milliseconds.
 */
interface Waiting {
  readonly since: number;
  readonly bytes: number;
  /** Its outcome waits for the peer. */
  readonly isHeld: boolean;
}

/** Keyed by transaction number, in ascending order. */
export class Acks {
  readonly #waiting = new OldestFirst<number, Waiting>();
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Number of batches sent and not confirmed. */
  get bytes(): number {
    return this.#bytes;
  }

  /** When the longest wait began; Infinity if no batch waits. */
  get oldest(): number {
    // Batches are added in order of time.
    return this.#waiting.oldest?.value.since ?? Infinity;
  }

  /** A batch that is held stays held when it is sent. */
  add(number: number, bytes: number, isHeld: boolean, now: number): void {
    const before = this.#waiting.get(number);
    this.#bytes += bytes - (before?.bytes ?? 0);
    this.#waiting.set(number, { bytes, isHeld: isHeld || before?.isHeld === true, since: now });
  }

  /** The peer confirmed all up to this number. Returns those whose outcome waited for it. */
  takeUpTo(most: number): number[] {
    const held: number[] = [];
    for (const { key: number, value } of this.#waiting) {
      if (number > most) continue;
      if (value.isHeld) held.push(number);
      this.#remove(number);
    }
    return held;
  }

  takeAll(): number[] {
    return this.takeUpTo(Infinity);
  }

  /** Returns true if its outcome waited for the peer. */
  take(number: number): boolean {
    const isHeld = this.#waiting.get(number)?.isHeld === true;
    this.#remove(number);
    return isHeld;
  }

  /** The connection ended: batches that were only sent are read from the store for the next one. */
  forgetSent(now: number): void {
    for (const { key: number, value } of this.#waiting) {
      if (value.isHeld) this.add(number, 0, true, now);
      else this.#remove(number);
    }
  }

  #remove(number: number): void {
    this.#bytes -= this.#waiting.get(number)?.bytes ?? 0;
    this.#waiting.delete(number);
  }
}
