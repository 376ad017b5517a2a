/**
 * The records in memory. Each has a slot, a small integer that stays while its key exists, so that
 * a snapshot is a copy of one array of references (D49).
 */
import { bytesOf, type MapRecord, RECORD_BYTES } from '../../../store/map-record.js';

/** A JavaScript Map holds about 16.7 million entries. */
const KEYS_MAX = 16_000_000;

/** A snapshot's content; `null` stands for nothing. */
export type Captured = readonly (MapRecord | null)[];

/** What a page of records may have. */
export interface PageLimits {
  /** The beginning of the keys; empty: all of them. */
  readonly prefix: string;
  readonly recordsMax: number;
  /** It ends with the record that reaches this. */
  readonly bytesMax: number;
  /** Slots that are looked at. */
  readonly slotsMax: number;
}

export interface RecordsPage {
  readonly records: readonly MapRecord[];
  readonly next: number | null;
}

export class Records {
  readonly #slots = new Map<string, number>();
  #records: (MapRecord | null)[] = [];
  /** Slots that are not used. */
  readonly #free: number[] = [];
  #captured: Captured | null = null;
  #bytes = 0;
  #replacedBytes = 0;

  /** Number of keys. */
  get size(): number {
    return this.#slots.size;
  }

  /** See `bytesOf`. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Of all records that were replaced or deleted so far. What came on top since a snapshot began is the
   * most that it keeps in memory besides the map.
   */
  get replacedBytes(): number {
    return this.#replacedBytes;
  }

  get isFull(): boolean {
    return this.#slots.size >= KEYS_MAX;
  }

  /** One more than the highest slot. */
  get slots(): number {
    return this.#records.length;
  }

  get(key: string): MapRecord | null {
    return this.at(this.slotOf(key));
  }

  at(slot: number): MapRecord | null {
    return this.#records[slot] ?? null;
  }

  /** -1 if there is no such key. */
  slotOf(key: string): number {
    return this.#slots.get(key) ?? -1;
  }

  /** Returns its slot. */
  put(record: MapRecord): number {
    const { key } = record;
    let slot = this.slotOf(key);
    this.#captured = null;
    if (slot < 0) {
      slot = this.#free.pop() ?? this.#records.length;
      this.#slots.set(key, slot);
    } else {
      this.#uncount(slot, record);
    }
    this.#records[slot] = record;
    this.#bytes += bytesOf(record);
    return slot;
  }

  /** Returns the slot that it had, or -1. */
  delete(key: string): number {
    const slot = this.slotOf(key);
    if (slot < 0) return slot;
    this.#captured = null;
    this.#slots.delete(key);
    this.#uncount(slot, null);
    this.#records[slot] = null;
    this.#free.push(slot);
    return slot;
  }

  /**
   * Some of the records whose key begins with a prefix, by slot, from one on.
   * @returns them, and the slot to go on from; `null`: there are no more
   */
  page(from: number, { prefix, recordsMax, bytesMax, slotsMax }: PageLimits): RecordsPage {
    const records: MapRecord[] = [];
    let bytes = 0;
    let slot = from;
    for (const until = Math.min(this.slots, from + slotsMax); slot < until; slot++) {
      if (records.length >= recordsMax || bytes >= bytesMax) break;
      const record = this.at(slot);
      if (record?.key.startsWith(prefix) !== true) continue;
      records.push(record);
      bytes += bytesOf(record);
    }
    return { records, next: slot < this.slots ? slot : null };
  }

  #uncount(slot: number, after: MapRecord | null): void {
    const before = this.at(slot);
    if (before === null) return;
    const bytes = bytesOf(before);
    this.#bytes -= bytes;
    this.#replacedBytes += before.value === after?.value ? RECORD_BYTES : bytes;
  }

  /** All records as they are now. Snapshots between which nothing changed share one array. */
  capture(): Captured {
    this.#captured ??= this.#records.slice();
    return this.#captured;
  }
}
