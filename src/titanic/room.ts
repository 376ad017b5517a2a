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
  /** How many each identity has. */
  readonly #counts = new Map<string, number>();
  #lookAt = Infinity;

  /** When `take` is next wanted although nothing comes; Infinity for never. Monotonic milliseconds. */
  get dueAt(): number {
    return this.#lookAt;
  }

  /** @returns false if its identity has too many that wait (D75): then it does not */
  wait(asking: Asking, bytes: number, now: number): boolean {
    const { identity, quotas } = asking.asker;
    const count = this.#counts.get(identity) ?? 0;
    if (count >= quotas.waits) return false;
    this.#counts.set(identity, count + 1);
    const waiting = this.#waiting.get(asking.asker);
    const item = { asking, bytes, since: now };
    if (waiting === undefined) this.#waiting.set(asking.asker, [item]);
    else waiting.push(item);
    if (this.#lookAt === Infinity) this.#lookAt = now + LOOK_MS;
    return true;
  }

  /** The first of those that wait at a connection no longer do. */
  #leave(asker: Asker, waiting: Waiting[], count: number): Waiting[] {
    const left = waiting.splice(0, count);
    if (waiting.length === 0) this.#waiting.delete(asker);
    const others = (this.#counts.get(asker.identity) ?? 0) - left.length;
    if (others > 0) this.#counts.set(asker.identity, others);
    else this.#counts.delete(asker.identity);
    return left;
  }

  /** Those for whom there is room now. */
  take(now: number): Asking[] {
    if (now < this.#lookAt) return [];
    const roomy: Asking[] = [];
    /** What is left of each identity that something was given of now: its connections share that. */
    const leftOf = new Map<string, number>();
    for (const [asker, waiting] of this.#waiting) {
      if (asker.isGone) continue;
      let left = asker.outputLeft();
      let leftOfAll = leftOf.get(asker.identity) ?? asker.identityOutputLeft();
      let count = 0;
      for (const { bytes } of waiting) {
        if (bytes > left || bytes > leftOfAll) break;
        left -= bytes;
        leftOfAll -= bytes;
        count++;
      }
      if (count === 0) continue;
      leftOf.set(asker.identity, leftOfAll);
      for (const { asking } of this.#leave(asker, waiting, count)) roomy.push(asking);
    }
    this.#lookAt = this.#waiting.size === 0 ? Infinity : now + LOOK_MS;
    return roomy;
  }

  /** Those who do not read, or are gone: so many at most. To be asked before `take`, which is due with it. */
  overdue(now: number, most: number): Asking[] {
    const overdue: Asking[] = [];
    if (now < this.#lookAt) return overdue;
    for (const [asker, waiting] of this.#waiting) {
      const first = waiting.findIndex(({ since }) => since + PATIENCE_MS > now);
      const count = asker.isGone || first < 0 ? waiting.length : first;
      const late = this.#leave(asker, waiting, Math.min(count, most - overdue.length));
      for (const { asking } of late) overdue.push(asking);
      if (overdue.length === most) break;
    }
    return overdue;
  }
}
