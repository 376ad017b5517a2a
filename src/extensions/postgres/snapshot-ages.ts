import type { Snapshots } from './snapshots.js';

/** How old the oldest snapshot is, of those that are looked at again and again. */
export class SnapshotAges {
  /** Of what the server gives no time: since when this broker has seen it unchanged. */
  #seen = new Map<string, number>();

  /**
   * @param nowMs of any clock that does not go back
   * @returns seconds; 0 if there is none, `null` if this role does not see all
   */
  oldest({ areAllSeen, holders }: Snapshots, nowMs: number): number | null {
    const seen = new Map<string, number>();
    let oldest = 0;
    for (const { kind, name, xmin, seconds } of holders) {
      const key = `${kind} ${name} ${xmin}`;
      const since = this.#seen.get(key) ?? nowMs;
      if (seconds === null) seen.set(key, since);
      oldest = Math.max(oldest, seconds ?? (nowMs - since) / 1000);
    }
    this.#seen = seen;
    return areAllSeen ? oldest : null;
  }
}
