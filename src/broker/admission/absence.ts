/**
 * Tracks which services have no worker, for clients that do not want to wait for one (D65). A
 * service that has just lost its last worker counts as served, because the worker may only be
 * restarting.
 */

import { OldestFirst } from '../../core/oldest-first.js';

/**
 * Maximum number of services remembered. Above it, the oldest entries are dropped and those
 * services count as unserved at once.
 */
const LOST_MAX = 10_000;

export class Absence {
  readonly #graceMs: number;
  /**
   * When each service lost its last worker, oldest first. Keyed by name, one character per byte.
   */
  readonly #lost = new OldestFirst<string, number>();
  /** Until this time, workers may not yet have connected to this broker. */
  #allMayComeUntil = -Infinity;

  /** @param graceMs how long a service may be without a worker before it counts as unserved */
  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  /** Begins to serve: the workers of this broker have yet to connect. */
  begin(now: number): void {
    this.#allMayComeUntil = now + this.#graceMs;
  }

  /** The service lost its last worker. */
  lost(service: Buffer, now: number): void {
    const name = service.toString('latin1');
    this.#lost.delete(name);
    this.#lost.set(name, now);
    for (const { key, value: lostAt } of this.#lost) {
      if (lostAt + this.#graceMs > now && this.#lost.size <= LOST_MAX) return;
      this.#lost.delete(key);
    }
  }

  /** From when on a service that has no worker now counts as unserved: the end of its grace period. */
  certainAt(service: Buffer): number {
    const lostAt = this.#lost.get(service.toString('latin1')) ?? -Infinity;
    return Math.max(this.#allMayComeUntil, lostAt + this.#graceMs);
  }
}
