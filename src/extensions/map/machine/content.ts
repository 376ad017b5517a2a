/**
 * The content of the map at this node, and when its ephemeral keys expire. Deadlines exist only
 * while the node serves, and start anew when it begins to (D51): a key lives longer by that, never
 * shorter.
 */
import { compareNumbers, type MapNumber } from '../../../wire/chp-client.js';
import { Deadlines } from './deadlines.js';
import { isDeletion, type MapRecord } from './record.js';
import { type PageLimits, Records } from './records.js';

const MS_PER_S = 1000;
/** Keys whose deadline is set in one turn. */
const SCANNED_MAX = 10_000;
/** A loop that stood still this long may not have read yet what renews its keys. */
const PAUSE_MS = 2000;
const GRACE_MS = 1000;

/** A record, as people see it. */
export interface ShownRecord {
  readonly record: MapRecord;
  /** Who set it last; `null`: not known. */
  readonly writer: string | null;
  /** Milliseconds until the key expires if nobody renews it; `null`: it does not, or not here. */
  readonly expiresInMs: number | null;
}

export interface ContentPage {
  readonly items: readonly ShownRecord[];
  readonly next: number | null;
}

export class Content {
  readonly records = new Records();
  readonly #deadlines = new Deadlines();
  /** While deadlines start anew: the next slot. Infinity: done. */
  #scanned = Infinity;
  #isTimed = false;
  #lastRun = -Infinity;
  #expiresFrom = -Infinity;
  #highest: MapNumber = { epoch: 0, counter: 0 };

  get size(): number {
    return this.records.size;
  }

  get bytes(): number {
    return this.records.bytes;
  }

  /** See `Records.replacedBytes`. */
  get replacedBytes(): number {
    return this.records.replacedBytes;
  }

  get isFull(): boolean {
    return this.records.isFull;
  }

  /** The highest number of any change that was applied. */
  get highest(): MapNumber {
    return this.#highest;
  }

  page(from: number, limits: PageLimits, now: number): ContentPage {
    const { slots, next } = this.records.page(from, limits);
    const items = slots.flatMap((slot): ShownRecord[] => {
      const record = this.records.at(slot);
      if (record === null) return [];
      const at = this.#deadlines.setAt(slot);
      const expiresInMs = at === null ? null : Math.max(0, Math.round(at - now));
      return [{ record, writer: this.records.writerAt(slot), expiresInMs }];
    });
    return { items, next };
  }

  /**
   * A change takes effect; a deletion removes its key.
   * @param now when its time to live begins
   * @param writer who made it, for people, as long as this node runs; `null`: not known
   */
  apply(change: MapRecord, now: number, writer: string | null = null): void {
    const slot = this.#put(change, writer);
    if (slot !== null && this.#isTimed) this.#time(slot, change, now);
  }

  /** Applies a change, but leaves the deadline of the key as it is. */
  applyUntimed(change: MapRecord, writer: string | null = null): void {
    this.#put(change, writer);
  }

  /** @returns `null`: a deletion, which has no slot any more */
  #put(change: MapRecord, writer: string | null): number | null {
    if (compareNumbers(change, this.#highest) > 0) {
      this.#highest = { epoch: change.epoch, counter: change.counter };
    }
    if (isDeletion(change)) {
      this.#deadlines.clear(this.records.delete(change.key));
      return null;
    }
    return this.records.put(change, writer);
  }

  #time(slot: number, { ttlS }: MapRecord, now: number): void {
    if (ttlS > 0) this.#deadlines.set(slot, now + ttlS * MS_PER_S);
    else this.#deadlines.clear(slot);
  }

  /** All times to live begin now. */
  startTimes(now: number): void {
    this.#isTimed = true;
    this.#lastRun = now;
    this.#scanned = 0;
  }

  stopTimes(): void {
    this.#isTimed = false;
    this.#scanned = Infinity;
    this.#deadlines.clearAll();
  }

  /** Returns true if there is more to do at once. */
  run(now: number): boolean {
    if (now - this.#lastRun > PAUSE_MS) this.#expiresFrom = now + GRACE_MS;
    this.#lastRun = now;
    const until = Math.min(this.records.slots, this.#scanned + SCANNED_MAX);
    for (; this.#scanned < until; this.#scanned++) {
      const record = this.records.at(this.#scanned);
      if (record !== null) this.#time(this.#scanned, record, now);
    }
    if (this.#scanned < this.records.slots) return true;
    this.#scanned = Infinity;
    return false;
  }

  /** When a key expires next; Infinity: none does. */
  get expiresAt(): number {
    if (this.#scanned !== Infinity) return Infinity;
    return Math.max(this.#deadlines.next, this.#expiresFrom);
  }

  /**
   * Takes a key that has expired out of those with a deadline; `null`: there is none. Its record
   * stays until its deletion is applied; `retime` gives it a deadline again.
   */
  takeExpired(now: number): MapRecord | null {
    if (now < this.expiresAt) return null;
    const slot = this.#deadlines.first;
    if (slot < 0) return null;
    this.#deadlines.clear(slot);
    return this.records.at(slot);
  }

  /** The deletion of an expired key failed: it is tried again. */
  retime({ key }: MapRecord, now: number): void {
    const slot = this.records.slotOf(key);
    if (slot >= 0 && this.#isTimed) this.#deadlines.set(slot, now);
  }
}
