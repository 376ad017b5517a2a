/** The messages between the main thread and the store's thread, packed. */
import { assert, present } from '../../core/assert.js';
import type { MapRecord } from '../map-record.js';
import { packRecords, unpackRecords } from '../map-record-codec.js';
import type { MapMerged } from '../map-store.js';
import type { NodeRecovered } from '../node-store.js';
import type { PackReader, PackWriter } from '../../core/packing.js';
import { putRequest, requestFrom } from '../request.js';
import type {
  ChangeResult,
  Closer,
  Chunk,
  Found,
  Holding,
  Merged,
  MergeFailure,
  Owner,
  OwnerCount,
  ReadPlace,
  RequestUuid,
  ServiceCount,
  StoreCounts,
  StoredContent,
  StoreFailure,
  Tombstones,
  Transaction,
} from '../store.js';
import { packRequests, unpackPending } from './request-messages.js';

/** To the thread: several in one message, carried out in order. */
export const DO_COMMIT = 1;
export const DO_LOAD = 2;
export const DO_LOOK_UP = 3;
/** Pending requests with a number above this one. */
export const DO_LIST = 4;
export const DO_MERGE = 5;
export const DO_READ = 6;
export const DO_CLOSE = 7;
export const DO_COMMIT_MAP = 8;
/** Records of the map with a key above this one. */
export const DO_LIST_MAP = 9;
export const DO_CLAIM = 10;
export const DO_LIST_SCHEDULES = 11;
/** Other brokers are to be told of a hint. */
export const DO_HINT = 12;

/** From the thread: several in one message. */
export const COMMITTED = 1;
export const BATCH_FAILED = 2;
export const LOADED = 3;
export const LOAD_FAILED = 4;
export const FOUND = 5;
export const LOOK_FAILED = 6;
export const LISTED = 7;
export const LIST_FAILED = 8;
export const MERGED = 9;
export const MERGE_FAILED = 10;
export const READ = 11;
export const READ_FAILED = 12;
export const OPENED = 13;
export const CLOSED = 14;
/** Belongs to the transaction that is reported next. */
export const MAP_MERGED = 15;
/** Belongs to the transaction that is reported next, or to none: 0. */
export const MAP_TOMBSTONES = 16;
export const MAP_LISTED = 17;
export const MAP_LIST_FAILED = 18;
/** Pending requests of batches that failed with an unknown outcome. */
export const KEPT = 19;
/** Another session was taken: other brokers may have claimed what this one had. */
export const TAKEN = 20;
/** What the store holds, with the work of other brokers. */
export const COUNTED = 21;
export const CLAIMED = 22;
export const CLAIM_FAILED = 23;
/** Another broker has sent a hint. */
export const HINTED = 24;

/** What the thread is to open. */
export interface OpenOrder {
  readonly path: string;
  /** Another store may replace the one that the directory remembers. */
  readonly isNewStore: boolean;
  /** The node is one of a pair. */
  readonly isPaired: boolean;
}

/** The store has rows that are set aside. */
export interface AsideNews {
  readonly how: 'set-aside';
  readonly text: string;
}

/** Why a store could not be opened, as a plain object. */
export interface OpenFailure {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

const FAILURES = ['full', 'busy', 'fatal'] as const;
const MERGE_FAILURES = [...FAILURES, 'malformed'] as const;
const TOMBSTONES: readonly Tombstones[] = ['none', 'known', 'all'];

export function packTransaction(to: PackWriter, transaction: Transaction): void {
  to.byte(TOMBSTONES.indexOf(transaction.tombstones));
  to.number(transaction.peerHolds);
  packHolding(to, transaction.holds);
}

export function unpackTransaction(number: number, from: PackReader): Transaction {
  return {
    number,
    tombstones: TOMBSTONES[from.byte()] ?? 'none',
    peerHolds: from.number(),
    holds: unpackHolding(from),
  };
}

function packHolding(to: PackWriter, holding: Holding | null): void {
  to.byte(holding === null ? 0 : 1);
  if (holding === null) return;
  to.bytes(holding.storeId);
  to.number(holding.upTo);
  to.number(holding.bodiesUpTo);
}

function unpackHolding(from: PackReader): Holding | null {
  if (from.byte() === 0) return null;
  return { storeId: from.bytes(), upTo: from.number(), bodiesUpTo: from.number() };
}

export function packPlace(to: PackWriter, place: ReadPlace): void {
  to.number(place.upTo);
  to.number(place.bodiesUpTo);
  to.number(place.changed);
  to.number(place.number);
}

export function unpackPlace(from: PackReader): ReadPlace {
  return {
    upTo: from.number(),
    bodiesUpTo: from.number(),
    changed: from.number(),
    number: from.number(),
  };
}

export function packChunk(to: PackWriter, { records, holds, next }: Chunk): void {
  to.bytes(records);
  packHolding(to, holds);
  to.byte(next === null ? 0 : 1);
  if (next !== null) packPlace(to, next);
}

export function unpackChunk(from: PackReader): Chunk {
  return {
    records: from.bytes(),
    holds: present(unpackHolding(from), 'what a chunk makes its receiver hold'),
    next: from.byte() === 0 ? null : unpackPlace(from),
  };
}

export function packMerged(to: PackWriter, { joined, ranTwice, opened, ended }: Merged): void {
  to.number(joined);
  to.number(ranTwice);
  packRequests(to, opened);
  packUuids(to, ended);
}

export function unpackMerged(from: PackReader): Merged {
  return {
    joined: from.number(),
    ranTwice: from.number(),
    opened: unpackPending(from),
    ended: unpackUuids(from),
  };
}

export function packMapRecords(to: PackWriter, records: readonly MapRecord[]): void {
  to.bytes(packRecords(records));
}

export function unpackMapRecords(from: PackReader): MapRecord[] {
  return present(unpackRecords(from.bytes()), 'records of this program');
}

export function packMapMerged(to: PackWriter, { changed, conflicts }: MapMerged): void {
  packMapRecords(to, changed);
  to.number(conflicts.length);
  for (const key of conflicts) to.bytes(Buffer.from(key, 'latin1'));
}

export function unpackMapMerged(from: PackReader): MapMerged {
  return {
    changed: unpackMapRecords(from),
    conflicts: Array.from({ length: from.number() }, () => from.bytes().toString('latin1')),
  };
}

export function packRecovered(to: PackWriter, recovered: NodeRecovered): void {
  packCounts(to, recovered.counts);
  to.bytes(recovered.storeId);
  to.number(recovered.firstTransaction);
  packHolding(to, recovered.holds);
  to.byte(recovered.isNumbered ? 1 : 0);
  to.number(recovered.mapEpochMax);
  to.number(recovered.mapTombstoneBytes);
}

export function unpackRecovered(from: PackReader): NodeRecovered {
  return {
    counts: unpackCounts(from),
    storeId: from.bytes(),
    firstTransaction: from.number(),
    holds: unpackHolding(from),
    isNumbered: from.byte() !== 0,
    mapEpochMax: from.number(),
    mapTombstoneBytes: from.number(),
  };
}

const DONE_RESULT = 1;
const PASSED_RESULT = 2;
const KNOWN_RESULT = 3;
const RETRIED_RESULT = 4;
const SWEPT_RESULT = 5;
const DENIED_RESULT = 6;
const REFUSED_RESULT = 7;
const BUSY_RESULT = 8;

export const DONE: ChangeResult = { kind: 'done' };
export const PASSED: ChangeResult = { kind: 'passed' };
export const DENIED: ChangeResult = { kind: 'denied' };
export const REFUSED: ChangeResult = { kind: 'refused' };
export const BUSY: ChangeResult = { kind: 'busy' };

export function packResults(to: PackWriter, results: readonly ChangeResult[]): void {
  to.number(results.length);
  for (const result of results) {
    switch (result.kind) {
      case 'done':
        to.byte(DONE_RESULT);
        break;
      case 'passed':
        to.byte(PASSED_RESULT);
        break;
      case 'refused':
        to.byte(REFUSED_RESULT);
        break;
      case 'busy':
        to.byte(BUSY_RESULT);
        break;
      case 'known':
        to.byte(KNOWN_RESULT);
        to.bytes(result.uuid);
        break;
      case 'retried':
        to.byte(RETRIED_RESULT);
        putRequest(to, result.request);
        break;
      case 'denied':
        to.byte(DENIED_RESULT);
        break;
      case 'swept':
        to.byte(SWEPT_RESULT);
        to.number(result.replied);
        to.number(result.dead);
        to.number(result.services.length);
        for (const { service, count } of result.services) {
          to.bytes(service);
          to.number(count);
        }
        to.byte(result.more ? 1 : 0);
    }
  }
}

export function unpackResults(from: PackReader): ChangeResult[] {
  return Array.from({ length: from.number() }, () => unpackResult(from));
}

function unpackResult(from: PackReader): ChangeResult {
  const kind = from.byte();
  switch (kind) {
    case DONE_RESULT:
      return DONE;
    case PASSED_RESULT:
      return PASSED;
    case REFUSED_RESULT:
      return REFUSED;
    case BUSY_RESULT:
      return BUSY;
    case KNOWN_RESULT:
      return { kind: 'known', uuid: from.bytes() };
    case RETRIED_RESULT:
      return { kind: 'retried', request: requestFrom(from) };
    case DENIED_RESULT:
      return DENIED;
    default:
      assert(kind === SWEPT_RESULT, 'a result of a known kind');
      return {
        kind: 'swept',
        replied: from.number(),
        dead: from.number(),
        services: Array.from({ length: from.number() }, () => ({
          service: from.bytes(),
          count: from.number(),
        })),
        more: from.byte() !== 0,
      };
  }
}

export function packCounts(to: PackWriter, counts: StoreCounts): void {
  to.number(counts.pending);
  to.number(counts.replied);
  to.number(counts.dead);
  to.number(counts.bytes);
  to.number(counts.nextNumber);
  to.number(counts.owners.length);
  for (const { owner, stored, bytes } of counts.owners) {
    to.text(owner);
    to.number(stored);
    to.number(bytes);
  }
  to.number(counts.services.length);
  for (const { service, pending, retrying, replied, dead } of counts.services) {
    to.bytes(service);
    to.number(pending);
    to.number(retrying);
    to.number(replied);
    to.number(dead);
  }
}

export function unpackCounts(from: PackReader): StoreCounts {
  return {
    pending: from.number(),
    replied: from.number(),
    dead: from.number(),
    bytes: from.number(),
    nextNumber: from.number(),
    owners: Array.from({ length: from.number() }, () => unpackOwner(from)),
    services: Array.from({ length: from.number() }, () => unpackService(from)),
  };
}

function unpackOwner(from: PackReader): OwnerCount {
  return { owner: from.text() as Owner, stored: from.number(), bytes: from.number() };
}

function unpackService(from: PackReader): ServiceCount {
  return {
    service: from.bytes(),
    pending: from.number(),
    retrying: from.number(),
    replied: from.number(),
    dead: from.number(),
  };
}

export function packFailure(to: PackWriter, failure: MergeFailure): void {
  to.byte(MERGE_FAILURES.indexOf(failure.kind));
  to.text(failure.message);
  to.text(failure.detail ?? '');
}

export function unpackFailure(from: PackReader): StoreFailure {
  const kind = FAILURES[from.byte()] ?? 'fatal';
  return { kind, ...textsOf(from) };
}

export function unpackMergeFailure(from: PackReader): MergeFailure {
  const kind = MERGE_FAILURES[from.byte()] ?? 'fatal';
  return { kind, ...textsOf(from) };
}

function textsOf(from: PackReader): Omit<StoreFailure, 'kind'> {
  const [message, detail] = [from.text(), from.text()];
  return detail === '' ? { message } : { message, detail };
}

export function packUuids(to: PackWriter, uuids: readonly RequestUuid[]): void {
  to.number(uuids.length);
  for (const uuid of uuids) to.bytes(uuid);
}

export function unpackUuids(from: PackReader): RequestUuid[] {
  return Array.from({ length: from.number() }, () => from.bytes());
}

export function packBodies(to: PackWriter, bodies: readonly (StoredContent | null)[]): void {
  to.number(bodies.length);
  for (const stored of bodies) {
    packMaybe(to, stored === null ? null : stored.body);
    if (stored === null) continue;
    packMaybe(to, stored.headers);
    to.number(stored.backoff?.baseMs ?? 0);
    to.number(stored.backoff?.maxMs ?? 0);
  }
}

export function unpackBodies(from: PackReader): (StoredContent | null)[] {
  return Array.from({ length: from.number() }, () => {
    const body = unpackMaybe(from);
    if (body === null) return null;
    const headers = unpackMaybe(from);
    const [baseMs, maxMs] = [from.number(), from.number()];
    return { body, headers, backoff: baseMs === 0 ? null : { baseMs, maxMs } };
  });
}

function packMaybe(to: PackWriter, bytes: Buffer | null): void {
  to.byte(bytes === null ? 0 : 1);
  if (bytes !== null) to.bytes(bytes);
}

function unpackMaybe(from: PackReader): Buffer | null {
  return from.byte() === 0 ? null : from.bytes();
}

const FOUND_STATES: readonly Found['state'][] = ['absent', 'closed', 'pending', 'replied', 'dead'];

export function packFound(to: PackWriter, found: Found): void {
  to.byte(FOUND_STATES.indexOf(found.state));
  if (found.state === 'absent') return;
  if (found.state === 'closed') {
    to.number(found.by.length);
    for (const by of found.by) to.text(by);
    return;
  }
  to.text(found.owner);
  to.byte(found.isShared ? 1 : 0);
  if (found.state === 'dead') {
    to.text(found.reason);
    packMaybe(to, found.failure);
  } else if (found.state === 'replied') {
    to.number(found.replyBytes);
    packMaybe(to, found.reply);
  }
}

export function unpackFound(from: PackReader): Found {
  const state = FOUND_STATES[from.byte()] ?? 'absent';
  if (state === 'absent') return { state };
  if (state === 'closed') {
    return { state, by: Array.from({ length: from.number() }, () => from.text() as Closer) };
  }
  const owner = from.text() as Owner;
  const whose = { owner, isShared: from.byte() !== 0 };
  switch (state) {
    case 'pending':
      return { state, ...whose };
    case 'replied':
      return { state, ...whose, replyBytes: from.number(), reply: unpackMaybe(from) };
    case 'dead':
      return { state, ...whose, reason: from.text(), failure: unpackMaybe(from) };
  }
}
