/**
 * The uuids of the changes of the last ten seconds, by which a change that comes again is known
 * (D50): after a failover, a writer sends again what it saw no echo of.
 *
 * They are kept in two generations, and the older one is dropped as a whole. (To look for the oldest
 * entry of a Map from which many were deleted, V8 steps over all of those.)
 */
import type { MapNumber } from '../wire/chp-client.js';
import { isDeletion, type MapRecord } from './record.js';

const KEPT_MS = 10_000;
/** Of a generation, of 100 bytes each: the older one is dropped early once the newer has as many. */
const GENERATION_MAX = 262_144;
/** Of one key; the last ones. */
const RENEWALS_MAX = 16;
const NONE: Renewals = new Map();

/** By uuid, in their order: renewals of a key, which no disk has, with their numbers. */
export type Renewals = ReadonlyMap<string, MapNumber>;

interface Known {
  readonly key: string;
  readonly at: number;
}

class Generation {
  readonly known = new Map<string, Known>();
  /** By key: the uuid of its deletion, if that was its last change. */
  readonly deletions = new Map<string, string>();
  /** By key: its renewals since its last change that was stored. */
  readonly renewals = new Map<string, Map<string, MapNumber>>();
  readonly since: number;

  constructor(since: number) {
    this.since = since;
  }

  renewed({ uuid, key, epoch, counter }: MapRecord): void {
    const renewals = this.renewals.get(key);
    if (renewals === undefined) this.renewals.set(key, new Map([[uuid, { epoch, counter }]]));
    else noteRenewal(renewals, uuid, { epoch, counter });
  }

  forget(uuid: string): void {
    const known = this.known.get(uuid);
    if (known === undefined) return;
    const { key } = known;
    this.known.delete(uuid);
    if (this.deletions.get(key) === uuid) this.deletions.delete(key);
    const renewals = this.renewals.get(key);
    if (renewals?.delete(uuid) === true && renewals.size === 0) this.renewals.delete(key);
  }
}

export class RecentUuids {
  #newer = new Generation(-Infinity);
  #older = new Generation(-Infinity);

  /** @param isStored false: it renewed a key, and nothing was written */
  add(change: MapRecord, now: number, isStored = true): void {
    const { uuid, key } = change;
    if (now - this.#newer.since >= KEPT_MS || this.#newer.known.size >= GENERATION_MAX) {
      this.#older = this.#newer;
      this.#newer = new Generation(now);
    }
    for (const generation of [this.#older, this.#newer]) {
      generation.deletions.delete(key);
      if (isStored) generation.renewals.delete(key);
      // A writer may use a uuid again, for another key.
      if (uuid !== '') generation.forget(uuid);
    }
    if (uuid === '') return;
    this.#newer.known.set(uuid, { key, at: now });
    if (!isStored) this.#newer.renewed(change);
    else if (isDeletion(change)) this.#newer.deletions.set(key, uuid);
  }

  has(uuid: string, now: number): boolean {
    const known = this.#newer.known.get(uuid) ?? this.#older.known.get(uuid);
    return known !== undefined && known.at > now - KEPT_MS;
  }

  /** The uuid of the deletion that was the last change of a key; empty: none is known. */
  deletionOf(key: string, now: number): string {
    const uuid = this.#newer.deletions.get(key) ?? this.#older.deletions.get(key) ?? '';
    return this.has(uuid, now) ? uuid : '';
  }

  renewalsOf(key: string, now: number): Renewals {
    const older = this.#older.renewals.get(key) ?? NONE;
    const newer = this.#newer.renewals.get(key) ?? NONE;
    if (older.size === 0 && newer.size === 0) return NONE;
    const recent = [...older, ...newer].filter(([uuid]) => this.has(uuid, now));
    return new Map(recent.slice(-RENEWALS_MAX));
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
