/**
 * Which services nobody serves, for clients that do not want to wait for a worker (D65). One whose
 * last worker was lost a moment ago counts as served: it may only be restarting.
 */

/** Services that are remembered at once: of more, those lost first are missed at once. */
const LOST_MAX = 10_000;

export class Absence {
  readonly #graceMs: number;
  /** When the last worker of a service was lost, oldest first. By name, one character a byte. */
  readonly #lost = new Map<string, number>();
  /** Until then workers may not have come (again) to this broker. */
  #allMayComeUntil = -Infinity;

  /** @param graceMs how long a worker may be away without being missed */
  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  /** This broker serves from now on: its workers are still to come. */
  begin(now: number): void {
    this.#allMayComeUntil = now + this.#graceMs;
  }

  /** The last worker of a service was lost. */
  lost(service: Buffer, now: number): void {
    const name = service.toString('latin1');
    this.#lost.delete(name);
    this.#lost.set(name, now);
    for (const [oldest, lostAt] of this.#lost) {
      if (lostAt + this.#graceMs > now && this.#lost.size <= LOST_MAX) return;
      this.#lost.delete(oldest);
    }
  }

  /** Whether a service that has no worker now has had none for a while. */
  isCertain(service: Buffer, now: number): boolean {
    if (now < this.#allMayComeUntil) return false;
    const lostAt = this.#lost.get(service.toString('latin1'));
    return lostAt === undefined || lostAt + this.#graceMs <= now;
  }
}
