/**
 * Who asked for a reply that does not fit into what their connection may still be sent: they are
 * answered when they have read enough of what was sent before (D76). Nothing of the reply is kept.
 */
import type { Asker } from '../broker/ports.js';
import type { Asking } from './waiters.js';

/** How often it is seen whether somebody has read, or is gone: what they wait for is read anew. */
const LOOK_MS = 100;
/** Who has not made room for so long does not read. */
const PATIENCE_MS = 60_000;

interface Waiting {
  readonly asking: Asking;
  readonly bytes: number;
  readonly since: number;
}

export class Room {
  /** By connection, each in the order of its questions. */
  readonly #waiting = new Map<Asker, Waiting[]>();
  #lookAt = Infinity;

  /** When `take` is next wanted although nothing comes; Infinity for never. Monotonic milliseconds. */
  get dueAt(): number {
    return this.#lookAt;
  }

  wait(asking: Asking, bytes: number, now: number): void {
    const waiting = this.#waiting.get(asking.asker);
    const item = { asking, bytes, since: now };
    if (waiting === undefined) this.#waiting.set(asking.asker, [item]);
    else waiting.push(item);
    if (this.#lookAt === Infinity) this.#lookAt = now + LOOK_MS;
  }

  /** Those for whom there is room now. */
  take(now: number): Asking[] {
    if (now < this.#lookAt) return [];
    const roomy: Asking[] = [];
    for (const [asker, waiting] of this.#waiting) {
      if (asker.isGone) continue;
      let left = asker.outputLeft();
      let count = 0;
      for (const { bytes } of waiting) {
        left -= bytes;
        if (left < 0) break;
        count++;
      }
      for (const { asking } of waiting.splice(0, count)) roomy.push(asking);
      if (waiting.length === 0) this.#waiting.delete(asker);
    }
    this.#lookAt = this.#waiting.size === 0 ? Infinity : now + LOOK_MS;
    return roomy;
  }

  /** Those who do not read, or are gone: so many at most. */
  overdue(now: number, most: number): Asking[] {
    const overdue: Asking[] = [];
    for (const [asker, waiting] of this.#waiting) {
      const first = waiting.findIndex(({ since }) => since + PATIENCE_MS > now);
      const count = asker.isGone || first < 0 ? waiting.length : first;
      const late = waiting.splice(0, Math.min(count, most - overdue.length));
      for (const { asking } of late) overdue.push(asking);
      if (waiting.length === 0) this.#waiting.delete(asker);
      if (overdue.length === most) break;
    }
    return overdue;
  }
}
