/**
 * The store of a node: Titanic's requests and the map's records in one place, with one sequence of
 * transactions. So the two nodes of a pair exchange the changes of both alike (D20, D53).
 */
import type { MapStore, MapStoreEvents } from './map-store.js';
import type { PairStore, PairStoreEvents, Recovered, Transaction } from './store.js';

/** What a store reports when it is opened. */
export interface NodeRecovered extends Recovered {
  /** The highest epoch of any record or tombstone of the map; 0: there is none. */
  readonly mapEpochMax: number;
  /** See `MapStoreEvents.mapTombstones`. */
  readonly mapTombstoneBytes: number;
}

export interface NodeStore extends PairStore, MapStore {
  /**
   * As the store of requests does.
   * @param mapEpochMax records of the map with a higher epoch are `malformed`
   */
  merge(
    transaction: Transaction,
    records: Buffer,
    isFromActive: boolean,
    mapEpochMax?: number,
  ): void;
}

/** @param mapEvents none are needed by a user that does not use the map */
export type OpenNodeStore = (
  events: PairStoreEvents,
  mapEvents?: MapStoreEvents,
) => Promise<{ readonly store: NodeStore; readonly recovered: NodeRecovered }>;
