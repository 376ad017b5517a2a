/** The receivers of webhooks that take none at present, for the metrics. */
import { PAUSE_MAX_MS } from '../../titanic/machine/requests/webhooks.js';

/** Clients choose hosts below a `.DOMAIN`; of further ones nothing is told. */
const HOSTS_MAX = 100;
/** The next attempt comes within the longest pause, unless nothing waits for the host any more. */
const FORGOTTEN_MS = PAUSE_MAX_MS + 1_800_000;

export class FailingHosts {
  /** How often each failed since its last success, and when last: monotonic milliseconds. */
  readonly #failed = new Map<string, { count: number; at: number }>();

  /** @param now monotonic milliseconds */
  noteFailure(host: string, now: number): void {
    const known = this.#failed.get(host);
    if (known === undefined && this.counts(now).length >= HOSTS_MAX) return;
    this.#failed.set(host, { count: (known?.count ?? 0) + 1, at: now });
  }

  noteSuccess(host: string): void {
    this.#failed.delete(host);
  }

  /** @param now monotonic milliseconds */
  counts(now: number): readonly (readonly [host: string, count: number])[] {
    for (const [host, { at }] of this.#failed) {
      if (at + FORGOTTEN_MS <= now) this.#failed.delete(host);
    }
    return Array.from(this.#failed, ([host, { count }]) => [host, count]);
  }
}
