/**
 * The store port of the map: where its records are kept.
 *
 * It is modelled on the store of stored requests (titanic/store/store.ts) and meant to live in the
 * same file and thread: transactions have one sequence of numbers for both, and the same
 * `Transaction` says what the file holds of the peer's, and what tombstones are left.
 *
 * A change is a record: with a value it is put, without one (a deletion) its key is removed. Per key
 * the higher number wins, in a commit and in a merge alike (D54), so applying changes a second time
 * changes nothing, and two stores that have taken in each other's records have the same content.
 *
 * A deletion leaves a tombstone (`Transaction.tombstones`): with `none` never, with `known` if the
 * key was here, with `all` always. Tombstones whose change the peer's disk has (`peerHolds`) are
 * dropped, some in each transaction.
 */
import type {
  Holding,
  MergeFailure,
  Recovered as StoreRecovered,
  StoreFailure,
  Transaction,
} from '../titanic/store/store.js';
import type { MapRecord } from './record.js';

/** Where the reading of what changed continues. */
export interface MapReadPlace {
  /** Everything up to this transaction has been read. */
  readonly upTo: number;
  /** Records up to this one have been read: the one with that key, changed by that transaction. */
  readonly changed: number;
  readonly key: string;
}

/** Records and tombstones of a store, and how far they reach. */
export interface MapChunk {
  /** The bytes that `merge` takes; see record-codec.ts. */
  readonly records: Buffer;
  /** What the other store holds of this one after it has merged these records and all before. */
  readonly holds: Holding;
  /** Where to continue; `null` if there was nothing more in the store at that moment. */
  readonly next: MapReadPlace | null;
}

/** The result of a merge. */
export interface MapMerged {
  /** Records that won and differ from what was here, tombstones as deletions. */
  readonly changed: readonly MapRecord[];
  /**
   * Keys that both sides had changed: the record here was changed by a transaction above
   * `peerHolds`, and has another number.
   */
  readonly conflicts: readonly string[];
}

/** The reports of a store, never made within a call. Records may be kept. */
export interface MapStoreEvents {
  /** Transactions, with changes or records, in order of their numbers. */
  committed(transaction: number): void;
  batchFailed(transaction: number, failure: StoreFailure): void;
  merged(transaction: number, merged: MapMerged): void;
  mergeFailed(transaction: number, failure: MergeFailure): void;
  /** Records in order of their keys, without tombstones; an empty list: there are no more. */
  listed(list: number, records: readonly MapRecord[]): void;
  chunk(read: number, chunk: MapChunk): void;
  /** A read failed; it may be repeated. */
  listFailed(list: number, failure: StoreFailure): void;
  readFailed(read: number, failure: StoreFailure): void;
}

/** What a store reports when it is opened. */
export interface MapRecovered extends Pick<
  StoreRecovered,
  'storeId' | 'firstTransaction' | 'holds'
> {
  /** The highest epoch of any record or tombstone; 0: there is none. */
  readonly epochMax: number;
}

/**
 * A store of the map. Calls take effect in their order. Reads may be requested at any time and see
 * every transaction that was requested before them and committed.
 */
export interface MapStore {
  /** All changes, in their order, or none of them; on disk when `committed` is called. */
  commit(transaction: Transaction, changes: readonly MapRecord[]): void;
  /**
   * Takes in what another store read (D54). Repeating it changes nothing.
   *
   * Conflicts are told right if `transaction.peerHolds` includes what the peer said it holds when it
   * joined.
   */
  merge(transaction: Transaction, records: Buffer): void;
  /**
   * Reads records and tombstones from a position on, in the order of their changes, until the
   * maximum number or bytes is reached (at least one). The last chunk is the one with fewer.
   */
  read(read: number, place: MapReadPlace, recordsMax: number, bytesMax: number): void;
  /** Lists records, in part: those whose key, as bytes, is above this one. Empty: from the first. */
  list(list: number, after: string): void;
  /** Ends after the work in progress. Later calls have no effect and get no result. */
  close(): Promise<void>;
}

export type OpenMapStore = (
  events: MapStoreEvents,
) => Promise<{ readonly store: MapStore; readonly recovered: MapRecovered }>;

/** Where to begin reading for a peer that has everything up to this transaction; 0: nothing. */
export function readMapFrom(upTo: number): MapReadPlace {
  return { upTo, changed: upTo, key: LAST_KEY };
}

/** Not below any key. */
const LAST_KEY = '\u00ff'.repeat(256);
