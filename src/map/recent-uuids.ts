/**
 * The uuids of the changes of the last ten seconds, by which a change that comes again is known
 * (D50): after a failover, a writer sends again what it saw no echo of.
 */
import { isDeletion, type MapRecord } from './record.js';

const KEPT_MS = 10_000;
/** Beyond this many the oldest are forgotten early: 100 bytes each. */
const KEPT_MAX = 262_144;

interface Known {
  readonly key: string;
  readonly at: number;
}

export class RecentUuids {
  /** In order of time. */
  readonly #known = new Map<string, Known>();
  /** By key: the uuid of its deletion, if that was its last change. */
  readonly #deletions = new Map<string, string>();

  add(change: MapRecord, now: number): void {
    const { uuid, key } = change;
    // A writer may use a uuid again, for another key.
    this.#forget(uuid);
    if (isDeletion(change) && uuid !== '') this.#deletions.set(key, uuid);
    else this.#deletions.delete(key);
    if (uuid === '') return;
    this.#known.set(uuid, { key, at: now });
    this.#forgetUntil(now - KEPT_MS);
  }

  has(uuid: string, now: number): boolean {
    const known = this.#known.get(uuid);
    return known !== undefined && known.at > now - KEPT_MS;
  }

  /** The uuid of the deletion that was the last change of a key; empty: none is known. */
  deletionOf(key: string): string {
    return this.#deletions.get(key) ?? '';
  }

  #forgetUntil(until: number): void {
    for (const [uuid, { at }] of this.#known) {
      if (at > until && this.#known.size <= KEPT_MAX) break;
      this.#forget(uuid);
    }
  }

  #forget(uuid: string): void {
    const known = this.#known.get(uuid);
    if (known === undefined) return;
    this.#known.delete(uuid);
    if (this.#deletions.get(known.key) === uuid) this.#deletions.delete(known.key);
  }
}
