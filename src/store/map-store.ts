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
import type { Completion, Transaction } from './store.js';
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

/** What a store reports of the map besides the outcome of calls; never within a call. */
export interface MapStoreEvents {
  /**
   * How many bytes the tombstones on disk count (`tombstoneBytesOf`). Reported before the outcome of a
   * commit or merge that may have changed it; and at any time, when the store drops those that the peer
   * has.
   */
  mapTombstones(bytes: number): void;
}

/**
 * A store of the map. Calls take effect in their order. What is listed includes every transaction
 * that was requested before and committed.
 */
export interface MapStore {
  /** All changes, in their order, or none of them. */
  commitMap(
    transaction: Transaction,
    changes: readonly MapRecord[],
    completion: Completion<unknown>,
  ): void;
  /**
   * Lists records, in part: those whose key, as bytes, is above this one, in order of their keys and
   * without tombstones. An empty list: there are no more. They may be kept.
   * @param after empty: from the first
   */
  listMap(after: string, completion: Completion<readonly MapRecord[]>): void;
}
