/**
 * Clients that asked for a reply that does not fit into what their connection may still be sent.
 * They are answered when they have read enough of their earlier output (D76). No part of the reply
 * is kept.
 */
import type { Asker } from '../../../broker/ports.js';
import type { ReplyQuery } from './waiters.js';

/**
 * How often to check whether a client has read, or is gone. The reply that it waits for is then
 * read again.
 */
const CHECK_MS = 100;
/** A client that has made no room for this long counts as not reading. */
const WAIT_MS_MAX = 60_000;

interface Waiting {
  readonly query: ReplyQuery;
  readonly bytes: number;
  readonly since: number;
}

export class OutputWaiters {
  /** By connection, each in the order of the questions. */
  readonly #waiting = new Map<Asker, Waiting[]>();
  /** How many wait for each identity. */
  readonly #counts = new Map<string, number>();
  #checkAt = Infinity;

  /** When `take` is next due if no input arrives; Infinity for never. Monotonic milliseconds. */
  get dueAt(): number {
    return this.#checkAt;
  }

  /** @returns false if too many of its identity wait (D75): then this one does not */
  wait(query: ReplyQuery, bytes: number, now: number): boolean {
    const { identity, quotas } = query.asker;
    const count = this.#counts.get(identity) ?? 0;
    if (count >= quotas.waits) return false;
    this.#counts.set(identity, count + 1);
    const waiting = this.#waiting.get(query.asker);
    const item = { query, bytes, since: now };
    if (waiting === undefined) this.#waiting.set(query.asker, [item]);
    else waiting.push(item);
    if (this.#checkAt === Infinity) this.#checkAt = now + CHECK_MS;
    return true;
  }

  /** Removes the first `count` of those that wait at a connection. */
  #remove(asker: Asker, waiting: Waiting[], count: number): Waiting[] {
    const left = waiting.splice(0, count);
    if (waiting.length === 0) this.#waiting.delete(asker);
    const others = (this.#counts.get(asker.identity) ?? 0) - left.length;
    if (others > 0) this.#counts.set(asker.identity, others);
    else this.#counts.delete(asker.identity);
    return left;
  }

  /** Takes those for whom there is room now. */
  take(now: number): ReplyQuery[] {
    if (now < this.#checkAt) return [];
    const roomy: ReplyQuery[] = [];
    /**
     * What is left for each identity that was given something in this call; its connections share
     * it.
     */
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
      for (const { query } of this.#remove(asker, waiting, count)) roomy.push(query);
    }
    this.#checkAt = this.#waiting.size === 0 ? Infinity : now + CHECK_MS;
    return roomy;
  }

  /**
   * Takes at most `most` of those that do not read, or are gone. Call it before `take`, which is
   * due at the same time.
   */
  overdue(now: number, most: number): ReplyQuery[] {
    const overdue: ReplyQuery[] = [];
    if (now < this.#checkAt) return overdue;
    for (const [asker, waiting] of this.#waiting) {
      const first = waiting.findIndex(({ since }) => since + WAIT_MS_MAX > now);
      const count = asker.isGone || first < 0 ? waiting.length : first;
      const late = this.#remove(asker, waiting, Math.min(count, most - overdue.length));
      for (const { query } of late) overdue.push(query);
      if (overdue.length === most) break;
    }
    return overdue;
  }
}
