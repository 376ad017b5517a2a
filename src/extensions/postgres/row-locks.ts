/**
 * Requests whose rows somebody else keeps locked, such as a person with an open transaction. Batches are
 * committed without the changes of these, which are tried again later.
 */
import { OldestFirst } from '../../core/oldest-first.js';
import type { Change, RequestUuid } from '../../store/store.js';
import { type Clock, sleep } from './clock.js';
import type { LockedRow } from './locked-rows.js';
import type { Tables } from './tables.js';

/** For how long rows are looked at before they are waited for, after one was locked. */
const LOOKING_MS = 10_000;
/**
 * The part of the time for a batch after which a row that is still locked counts as kept locked. Until then
 * it may be one that a batch of another broker has locked for a moment.
 */
const LOCKED_SHARE = 0.05;
/** After so long, a row that was not known to be locked is looked at again; then after twice as long. */
const LOOK_AGAIN_MS = 5;
/** How many are remembered. The oldest are forgotten. */
const LOCKED_MAX = 10_000;

export class RowLocks {
  readonly #clock: Clock;
  /** When they were last found locked, in monotonic milliseconds; the oldest first. */
  readonly #known = new OldestFirst<string, number>();
  readonly #lockedMs: number;
  readonly #found: (row: LockedRow) => void;

  /**
   * @param timeoutMs the time for a batch
   * @param found called for each process that has locked one that was not known to be locked
   */
  constructor(clock: Clock, timeoutMs: number, found: (row: LockedRow) => void) {
    this.#clock = clock;
    this.#lockedMs = timeoutMs * LOCKED_SHARE;
    this.#found = found;
  }

  /**
   * Whether rows of these changes may be locked. Any row that was locked a short while ago is a reason to look:
   * whoever keeps one locked may keep others locked, too.
   */
  mayConcern(changes: readonly Change[]): boolean {
    if (this.#known.size === 0) return false;
    const now = this.#clock.now();
    for (const { key, value: at } of this.#known) {
      if (now - at < LOOKING_MS) break;
      this.#known.delete(key);
    }
    return this.#known.size > 0 && changes.some(({ kind }) => kind !== 'accept');
  }

  /** @returns those of these requests whose rows another session keeps locked */
  async among(tables: Tables, asked: readonly RequestUuid[]): Promise<RequestUuid[]> {
    const seen = await tables.locked(asked);
    const isKnown = (uuid: RequestUuid): boolean => this.#known.has(nameOf(uuid));
    const added = await this.#stillLocked(
      tables,
      seen.filter((uuid) => !isKnown(uuid)),
    );
    const locked = [...seen.filter(isKnown), ...added];
    for (const uuid of asked) this.#known.delete(nameOf(uuid));
    for (const uuid of locked) this.#known.set(nameOf(uuid), this.#clock.now());
    while (this.#known.size > LOCKED_MAX) this.#known.shift();
    for (const row of await tables.lockHolders(added)) this.#found(row);
    return locked;
  }

  /** The requests among `seen` that nobody unlocks within a while. */
  async #stillLocked(tables: Tables, seen: readonly RequestUuid[]): Promise<RequestUuid[]> {
    let locked = [...seen];
    const until = this.#clock.now() + this.#lockedMs;
    for (let ms = LOOK_AGAIN_MS; locked.length > 0 && this.#clock.now() < until; ms *= 2) {
      await sleep(this.#clock, ms);
      locked = await tables.locked(locked);
    }
    return locked;
  }
}

function nameOf(uuid: RequestUuid): string {
  return uuid.toString('latin1');
}
