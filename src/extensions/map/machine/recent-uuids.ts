/**
 * The uuids of the changes of the last ten seconds, by which a change that comes again is known
 * (D50): after a failover, a writer sends again what it saw no echo of. A change that was the last one of its
 * key is known for ten seconds after another takes its place, even if the earlier one was read from the store.
 */
import { OldestFirst } from '../../../core/oldest-first.js';
import { type MapNumber, writerOf } from '../../../wire/chp-client.js';
import { isDeletion, type MapRecord } from './record.js';
import type { WriterMarks } from './writer-marks.js';

const RETAINED_MS = 10_000;
/**
 * Most changes that are remembered, of more than 220 bytes each, and the key: above it, the oldest is dropped early.
 */
const RETAINED_MAX = 262_144;
/** How many old ones a change drops, so that none takes long. */
const DROPPED_AT_ONCE = 4;
/** The most renewals of one key that are remembered: the last ones. */
const RENEWALS_MAX = 16;
const NONE: Renewals = new Map();

/** By uuid, in their order: renewals of a key, which no disk has, with their numbers. */
export type Renewals = ReadonlyMap<string, MapNumber>;

interface Known {
  readonly key: string;
  readonly at: number;
}

export class RecentUuids {
  readonly #known = new OldestFirst<string, Known>();
  /** The uuid of a key's deletion, by key, if that was its last change. */
  readonly #deletions = new Map<string, string>();
  /** The renewals of a key since its last change that was stored, by key. */
  readonly #renewals = new Map<string, Map<string, MapNumber>>();
  readonly #marks: WriterMarks;

  constructor(marks: WriterMarks) {
    this.#marks = marks;
  }

  /**
   * @param before what the map had of its key
   * @param isStored false: it renewed the key, and nothing was written
   */
  add(change: MapRecord, before: MapRecord | null, now: number, isStored = true): void {
    const { uuid, key } = change;
    this.#dropOld(now);
    this.#marks.replaced(change, before, now);
    this.#replaced(before?.uuid ?? this.#deletions.get(key) ?? '', key, now);
    this.#deletions.delete(key);
    if (isStored) this.#renewals.delete(key);
    if (uuid === '') return;
    // A writer may use a uuid again, for another key.
    this.#forget(uuid);
    this.#known.set(uuid, { key, at: now });
    if (!isStored) this.#renewed(change);
    else if (isDeletion(change)) this.#deletions.set(key, uuid);
  }

  /**
   * Whether the key has, or had, this change or, if uuids tell their order, a later one of its writer (D50, D121).
   * @param record what the map has of the key
   */
  isPast(change: MapRecord, record: MapRecord | null, now: number): boolean {
    const { uuid } = change;
    const writer = writerOf(uuid);
    if (writer === '') return this.has(uuid, now);
    if (record !== null && writerOf(record.uuid) === writer) return uuid <= record.uuid;
    return this.#marks.has(change);
  }

  has(uuid: string, now: number): boolean {
    const known = this.#known.get(uuid);
    return known !== undefined && known.at > now - RETAINED_MS;
  }

  /** The uuid of the deletion that was the last change of a key; empty: none is known. */
  deletionOf(key: string, now: number): string {
    const uuid = this.#deletions.get(key) ?? '';
    return this.has(uuid, now) ? uuid : '';
  }

  renewalsOf(key: string, now: number): Renewals {
    const renewals = this.#renewals.get(key);
    if (renewals === undefined) return NONE;
    return new Map([...renewals].filter(([uuid]) => this.has(uuid, now)));
  }

  #dropOld(now: number): void {
    for (let left = DROPPED_AT_ONCE; left > 0; left--) {
      const { oldest, size } = this.#known;
      if (oldest === null) return;
      if (oldest.value.at > now - RETAINED_MS && size < RETAINED_MAX) return;
      this.#forget(oldest.key);
    }
  }

  #replaced(uuid: string, key: string, now: number): void {
    if (uuid === '') return;
    // The uuid becomes the newest. A writer may have used it for another key, too.
    if (this.#known.get(uuid)?.key === key) this.#known.delete(uuid);
    else this.#forget(uuid);
    this.#known.set(uuid, { key, at: now });
  }

  #renewed({ uuid, key, epoch, counter }: MapRecord): void {
    const renewals = this.#renewals.get(key);
    if (renewals === undefined) this.#renewals.set(key, new Map([[uuid, { epoch, counter }]]));
    else noteRenewal(renewals, uuid, { epoch, counter });
  }

  #forget(uuid: string): void {
    const known = this.#known.get(uuid);
    if (known === undefined) return;
    const { key } = known;
    this.#known.delete(uuid);
    if (this.#deletions.get(key) === uuid) this.#deletions.delete(key);
    const renewals = this.#renewals.get(key);
    if (renewals?.delete(uuid) === true && renewals.size === 0) this.#renewals.delete(key);
  }
}

export function noteRenewal(
  renewals: Map<string, MapNumber>,
  uuid: string,
  number: MapNumber,
): void {
  renewals.set(uuid, number);
  if (renewals.size <= RENEWALS_MAX) return;
  for (const first of renewals.keys()) {
    renewals.delete(first);
    return;
  }
}
