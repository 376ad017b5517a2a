/**
 * What writers sent to a node that does not serve (D53): they send each change to both nodes, so the
 * one that takes over has what the other one lost. A change is struck out when replication brings
 * it, or a later change of its key.
 */
import { OldestFirst } from '../../../core/oldest-first.js';
import type { MapRecord } from './record.js';
import type { MapPeer } from './sink.js';

const RETAINED_MS = 10_000;
const RETAINED_MAX = 10_000;
const RETAINED_BYTES_MAX = 16 * 1024 * 1024;
/** What one identity may have of it (D75). */
const IDENTITY_SHARE = 0.875;
const ITEM_BYTES = 256;

/** What a change takes while it waits. */
export function waitingBytesOf({ key, properties, value }: MapRecord): number {
  return ITEM_BYTES + key.length + properties.length + value.length;
}

export interface PendingSet {
  readonly record: MapRecord;
  readonly writer: MapPeer;
}

interface Retained extends PendingSet {
  readonly number: number;
  readonly at: number;
  readonly bytes: number;
}

/** What one identity has here. */
interface Line {
  /** By number. */
  readonly items: OldestFirst<number, Retained>;
  bytes: number;
}

/** So many more bytes of this identity wait here; negative: fewer. */
export type Held = (identity: string, change: number) => void;

export class PendingSets {
  readonly #held: Held;
  #last = 0;
  #bytes = 0;
  /** By number, that is in order of arrival. */
  readonly #all = new OldestFirst<number, Retained>();
  readonly #byUuid = new Map<string, Retained>();
  readonly #byKey = new Map<string, OldestFirst<number, Retained>>();
  readonly #lines = new Map<string, Line>();

  constructor(held: Held) {
    this.#held = held;
  }

  get size(): number {
    return this.#all.size;
  }

  /** When the oldest one is too old; Infinity: there is none. */
  get dueAt(): number {
    return (this.#all.oldest?.value.at ?? Infinity) + RETAINED_MS;
  }

  /** Keeps a change with a uuid; over a limit, the oldest of its writer, or of all, goes. */
  add({ record, writer }: PendingSet, now: number): void {
    this.prune(now);
    if (this.#byUuid.has(record.uuid)) return;
    const { key } = record;
    const bytes = waitingBytesOf(record);
    if (bytes > RETAINED_BYTES_MAX * IDENTITY_SHARE) return;
    const retained: Retained = { record, writer, number: ++this.#last, at: now, bytes };
    const { identity } = writer;
    let line = this.#lines.get(identity);
    if (line === undefined) {
      line = { items: new OldestFirst(), bytes: 0 };
      this.#lines.set(identity, line);
    }
    this.#all.set(retained.number, retained);
    this.#byUuid.set(record.uuid, retained);
    let ofKey = this.#byKey.get(key);
    if (ofKey === undefined) this.#byKey.set(key, (ofKey = new OldestFirst()));
    ofKey.set(retained.number, retained);
    line.items.set(retained.number, retained);
    line.bytes += bytes;
    this.#bytes += bytes;
    this.#held(identity, bytes);
    const share = IDENTITY_SHARE;
    while (line.items.size > RETAINED_MAX * share || line.bytes > RETAINED_BYTES_MAX * share) {
      this.#dropFirst(line.items);
    }
    while (this.#all.size > RETAINED_MAX || this.#bytes > RETAINED_BYTES_MAX) {
      this.#dropFirst(this.#all);
    }
  }

  /**
   * Replication brought this change: it, and what came before it for its key, is done.
   * @returns false if it is not here: it has no uuid, or its writer's copy is still on its way
   */
  strike({ key, uuid }: MapRecord): boolean {
    const struck = this.#byUuid.get(uuid);
    if (struck === undefined) return false;
    this.#strikeUpTo(key, struck.number);
    this.#drop(struck);
    return true;
  }

  /** A change that comes after all those that are here for its key was made. */
  strikeAllOf(key: string): void {
    this.#strikeUpTo(key, Infinity);
  }

  #strikeUpTo(key: string, number: number): void {
    for (const { value } of this.#byKey.get(key) ?? []) {
      if (value.number <= number) this.#drop(value);
    }
  }

  /** Forgets what is older than ten seconds. */
  prune(now: number): void {
    for (const { value: retained } of this.#all) {
      // As in `dueAt`: rounded otherwise, it could be due and not old enough.
      if (retained.at + RETAINED_MS > now) break;
      this.#drop(retained);
    }
  }

  /** Takes all of them, in order of arrival. */
  take(now: number): PendingSet[] {
    this.prune(now);
    const all = [...this.#all].map(({ value }) => value);
    this.#all.clear();
    this.#byUuid.clear();
    this.#byKey.clear();
    for (const [identity, { bytes }] of this.#lines) this.#held(identity, -bytes);
    this.#lines.clear();
    this.#bytes = 0;
    return all;
  }

  /** Drops those of which `is` is true, and returns them. */
  dropThose(is: (set: PendingSet) => boolean): PendingSet[] {
    const dropped = [...this.#all].map(({ value }) => value).filter(is);
    for (const retained of dropped) this.#drop(retained);
    return dropped;
  }

  #dropFirst({ oldest }: OldestFirst<number, Retained>): void {
    if (oldest !== null) this.#drop(oldest.value);
  }

  #drop(retained: Retained): void {
    if (!this.#all.delete(retained.number)) return;
    const { key, uuid } = retained.record;
    this.#byUuid.delete(uuid);
    this.#bytes -= retained.bytes;
    const ofKey = this.#byKey.get(key);
    ofKey?.delete(retained.number);
    if (ofKey?.size === 0) this.#byKey.delete(key);
    const { identity } = retained.writer;
    this.#held(identity, -retained.bytes);
    const line = this.#lines.get(identity);
    if (line === undefined) return;
    line.items.delete(retained.number);
    line.bytes -= retained.bytes;
    if (line.items.size === 0) this.#lines.delete(identity);
  }
}
