/**
 * The store port of the map: where its records are kept, beside Titanic's requests
 * (store/node-store.ts).
 *
 * A change is a record: with a value it is put, without one (a deletion) its key is removed. Per key
 * the higher number wins, in a commit and in a merge alike (D54), so applying changes a second time
 * changes nothing, and two stores that have taken in each other's records have the same content.
 *
 * A deletion leaves a tombstone (`Transaction.tombstones`): with `none` never, with `known` if the
 * key was here, with `all` always. Tombstones whose change the peer's disk has (`peerHolds`) are
 * dropped, some in each transaction.
 */
import type { StoreFailure, Transaction } from './store.js';
import type { MapRecord } from './map-record.js';

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

/**
 * The reports of a store, never made within a call. Records may be kept. What becomes of a
 * transaction is reported by `StoreEvents`: `committed`, without results, or `batchFailed`.
 */
export interface MapStoreEvents {
  /** Reported before `StoreEvents.merged`, unless nothing changed. */
  mapMerged(merged: MapMerged): void;
  /**
   * How many bytes the tombstones on disk count (`tombstoneBytesOf`). Reported before
   * `StoreEvents.committed` or `merged`, if the transaction may have changed it; and at any time,
   * when the store drops those that the peer has.
   */
  mapTombstones(bytes: number): void;
  /** Records in order of their keys, without tombstones; an empty list: there are no more. */
  mapListed(list: number, records: readonly MapRecord[]): void;
  /** A read failed; it may be repeated. */
  mapListFailed(list: number, failure: StoreFailure): void;
}

/**
 * A store of the map. Calls take effect in their order. What is listed includes every transaction
 * that was requested before and committed.
 */
export interface MapStore {
  /** All changes, in their order, or none of them; on disk when `committed` is called. */
  commitMap(transaction: Transaction, changes: readonly MapRecord[]): void;
  /** Lists records, in part: those whose key, as bytes, is above this one. Empty: from the first. */
  listMap(list: number, after: string): void;
}
