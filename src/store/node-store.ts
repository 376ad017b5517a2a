/**
 * The store of a node: Titanic's requests and the map's records in one place, with one sequence of
 * transactions. So the two nodes of a pair exchange the changes of both alike (D20, D53).
 */
import type { MapMerged, MapStore, MapStoreEvents } from './map-store.js';
import type {
  Completion,
  Merged,
  MergeFailure,
  PairStore,
  Recovered,
  StoreEvents,
  Transaction,
} from './store.js';

/** What a store reports when it is opened. */
export interface NodeRecovered extends Recovered {
  /** The highest epoch of any record or tombstone of the map; 0: there is none. */
  readonly mapEpochMax: number;
  /** See `MapStoreEvents.mapTombstones`. */
  readonly mapTombstoneBytes: number;
}

/** The result of a merge of both. */
export interface NodeMerged extends Merged {
  readonly map: MapMerged;
}

export interface NodeStore extends PairStore, MapStore {
  /**
   * Merges records of both parts, as `PairStore.merge` does for requests.
   * @param mapEpochMax records of the map with a higher epoch are `malformed`
   */
  merge(
    transaction: Transaction,
    records: Buffer,
    isFromActive: boolean,
    completion: Completion<NodeMerged, MergeFailure>,
    mapEpochMax?: number,
  ): void;
}

export interface NodeStoreEvents extends StoreEvents, MapStoreEvents {}

export type OpenNodeStore = (
  events: NodeStoreEvents,
) => Promise<{ readonly store: NodeStore; readonly recovered: NodeRecovered }>;
