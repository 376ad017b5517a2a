/**
 * The records in memory. Each has a slot, a small integer that stays while its key exists, so that
 * a snapshot is a copy of one array of references (D49).
 */
import { bytesOf, type MapRecord, RECORD_BYTES } from './record.js';

/** A JavaScript Map holds about 16.7 million entries. */
const KEYS_MAX = 16_000_000;

/** A snapshot's content; `null` stands for nothing. */
export type Captured = readonly (MapRecord | null)[];

/** What a page of records may have. */
export interface PageLimits {
  /** Whether the page may have this key. */
  readonly wants: (key: string) => boolean;
  readonly recordsMax: number;
  /** Bytes with which a page ends: with the record that reaches them. */
  readonly bytesMax: number;
  /** How many bytes of each value are shown, and count. */
  readonly valueBytes: number;
  /** Slots that are looked at. */
  readonly slotsMax: number;
}

interface SlotsPage {
  readonly slots: readonly number[];
  /** Where to go on; `null`: there are no more. */
  readonly next: number | null;
}

export class Records {
  readonly #slots = new Map<string, number>();
  #records: (MapRecord | null)[] = [];
  /** The writers of the records, by slot: see `Content.apply`. */
  readonly #writers: (string | null)[] = [];
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
   * Bytes of all records that were replaced or deleted so far. What came on top since a snapshot began is the most
   * that it keeps in memory besides the map.
   */
  get replacedBytes(): number {
    return this.#replacedBytes;
  }

  get isFull(): boolean {
    return this.#slots.size >= KEYS_MAX;
  }

  /** The highest slot plus one. */
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

  writerAt(slot: number): string | null {
    return this.#writers[slot] ?? null;
  }

  /** Returns its slot. */
  put(record: MapRecord, writer: string | null): number {
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
    this.#writers[slot] = writer;
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
    this.#writers[slot] = null;
    this.#free.push(slot);
    return slot;
  }

  /** Some of the records whose keys are wanted, by slot, from one on. */
  page(from: number, { wants, recordsMax, bytesMax, valueBytes, slotsMax }: PageLimits): SlotsPage {
    const slots: number[] = [];
    let bytes = 0;
    let slot = from;
    for (const until = Math.min(this.slots, from + slotsMax); slot < until; slot++) {
      if (slots.length >= recordsMax || bytes >= bytesMax) break;
      const record = this.at(slot);
      if (record === null || !wants(record.key)) continue;
      slots.push(slot);
      bytes += bytesOf(record) - Math.max(0, record.value.length - valueBytes);
    }
    return { slots, next: slot < this.slots ? slot : null };
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
