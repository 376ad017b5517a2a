/**
 * What writers sent to a node that does not serve (D53): they send each change to both nodes, so the
 * one that takes over has what the other one lost. A change is struck out when replication brings
 * it, or a later change of its key.
 */
import { OldestFirst } from '../../../core/oldest-first.js';
import type { MapRecord } from '../../../store/map-record.js';
import type { MapPeer } from './sink.js';

const KEPT_MS = 10_000;
const KEPT_MAX = 10_000;
const KEPT_BYTES_MAX = 16 * 1024 * 1024;
/** What one identity may have of it (D75). */
const IDENTITY_SHARE = 0.875;
const ITEM_BYTES = 256;

export interface PendingSet {
  readonly record: MapRecord;
  readonly writer: MapPeer;
}

interface Kept extends PendingSet {
  readonly number: number;
  readonly at: number;
  readonly bytes: number;
}

/** What one identity has here. */
interface Line {
  /** By number. */
  readonly items: OldestFirst<number, Kept>;
  bytes: number;
}

/** So many more bytes of this identity wait here; negative: fewer. */
export type Held = (identity: string, change: number) => void;

export class PendingSets {
  readonly #held: Held;
  #last = 0;
  #bytes = 0;
  /** By number, that is in order of arrival. */
  readonly #all = new OldestFirst<number, Kept>();
  readonly #byUuid = new Map<string, Kept>();
  readonly #byKey = new Map<string, OldestFirst<number, Kept>>();
  readonly #lines = new Map<string, Line>();

  constructor(held: Held) {
    this.#held = held;
  }

  get size(): number {
    return this.#all.size;
  }

  /** When the oldest one is too old; Infinity: there is none. */
  get dueAt(): number {
    return (this.#all.oldest?.value.at ?? Infinity) + KEPT_MS;
  }

  /** Keeps a change with a uuid; over a limit, the oldest of its writer, or of all, goes. */
  add({ record, writer }: PendingSet, now: number): void {
    this.prune(now);
    if (this.#byUuid.has(record.uuid)) return;
    const { key, properties, value } = record;
    const bytes = ITEM_BYTES + key.length + properties.length + value.length;
    if (bytes > KEPT_BYTES_MAX * IDENTITY_SHARE) return;
    const kept: Kept = { record, writer, number: ++this.#last, at: now, bytes };
    const { identity } = writer;
    let line = this.#lines.get(identity);
    if (line === undefined) {
      line = { items: new OldestFirst(), bytes: 0 };
      this.#lines.set(identity, line);
    }
    this.#all.set(kept.number, kept);
    this.#byUuid.set(record.uuid, kept);
    let ofKey = this.#byKey.get(key);
    if (ofKey === undefined) this.#byKey.set(key, (ofKey = new OldestFirst()));
    ofKey.set(kept.number, kept);
    line.items.set(kept.number, kept);
    line.bytes += bytes;
    this.#bytes += bytes;
    this.#held(identity, bytes);
    const share = IDENTITY_SHARE;
    while (line.items.size > KEPT_MAX * share || line.bytes > KEPT_BYTES_MAX * share) {
      this.#dropFirst(line.items);
    }
    while (this.#all.size > KEPT_MAX || this.#bytes > KEPT_BYTES_MAX) this.#dropFirst(this.#all);
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
    for (const { value: kept } of this.#all) {
      // As in `dueAt`: rounded otherwise, it could be due and not old enough.
      if (kept.at + KEPT_MS > now) break;
      this.#drop(kept);
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
    for (const kept of dropped) this.#drop(kept);
    return dropped;
  }

  #dropFirst({ oldest }: OldestFirst<number, Kept>): void {
    if (oldest !== null) this.#drop(oldest.value);
  }

  #drop(kept: Kept): void {
    if (!this.#all.delete(kept.number)) return;
    const { key, uuid } = kept.record;
    this.#byUuid.delete(uuid);
    this.#bytes -= kept.bytes;
    const ofKey = this.#byKey.get(key);
    ofKey?.delete(kept.number);
    if (ofKey?.size === 0) this.#byKey.delete(key);
    const { identity } = kept.writer;
    this.#held(identity, -kept.bytes);
    const line = this.#lines.get(identity);
    if (line === undefined) return;
    line.items.delete(kept.number);
    line.bytes -= kept.bytes;
    if (line.items.size === 0) this.#lines.delete(identity);
  }
}
