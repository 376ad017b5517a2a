import { OldestFirst } from '../../core/oldest-first.js';
import type { BatchOutcome } from '../../titanic/machine/requests/replica.js';

/** A batch whose outcome waits for the peer. */
export type Held = Pick<BatchOutcome<unknown>, 'released'>;

/**
 * Batches that are at the peer or wait to be sent, and when their wait began. Monotonic
 * milliseconds.
 */
interface Waiting {
  readonly since: number;
  readonly bytes: number;
  /** The batch, if its outcome waits for the peer; `null`: it does not. */
  readonly held: Held | null;
}

/** Batches that wait, keyed by transaction number, in ascending order. */
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
  add(number: number, bytes: number, held: Held | null, now: number): void {
    const before = this.#waiting.get(number);
    this.#bytes += bytes - (before?.bytes ?? 0);
    this.#waiting.set(number, { bytes, held: held ?? before?.held ?? null, since: now });
  }

  /** The peer confirmed all up to this number. Returns those whose outcome waited for it. */
  takeUpTo(most: number): Held[] {
    const held: Held[] = [];
    for (const { key: number, value } of this.#waiting) {
      if (number > most) continue;
      if (value.held !== null) held.push(value.held);
      this.#remove(number);
    }
    return held;
  }

  takeAll(): Held[] {
    return this.takeUpTo(Infinity);
  }

  /** @returns `null`: its outcome did not wait for the peer */
  take(number: number): Held | null {
    const held = this.#waiting.get(number)?.held ?? null;
    this.#remove(number);
    return held;
  }

  /** The connection ended: batches that were only sent are read from the store for the next one. */
  forgetSent(now: number): void {
    for (const { key: number, value } of this.#waiting) {
      if (value.held !== null) this.add(number, 0, value.held, now);
      else this.#remove(number);
    }
  }

  #remove(number: number): void {
    this.#bytes -= this.#waiting.get(number)?.bytes ?? 0;
    this.#waiting.delete(number);
  }
}
