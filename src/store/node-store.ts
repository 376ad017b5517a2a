/**
 * The store of a node: Titanic's requests and the ranked records of extensions in one place, with one
 * sequence of transactions. So the two nodes of a pair exchange the changes of all parts alike (D20, D53).
 */
import type { RankedMerged, RankedStore, RankedStoreEvents, TombstoneSizes } from './ranked.js';
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
  /** The highest epoch of any ranked record or tombstone; 0: there is none. */
  readonly epochMax: number;
  /** Each part that has records or tombstones, with what its tombstones are. */
  readonly parts: readonly TombstoneSizes[];
}

/** The result of a merge of all parts. */
export interface NodeMerged extends Merged {
  /** Each part of which there were records. */
  readonly parts: readonly RankedMerged[];
}

export interface NodeStore extends PairStore, RankedStore {
  /**
   * Merges records of all parts, as `PairStore.merge` does for requests.
   * @param epochMax ranked records with a higher epoch are `malformed`
   */
  merge(
    transaction: Transaction,
    records: Buffer,
    isFromActive: boolean,
    completion: Completion<NodeMerged, MergeFailure>,
    epochMax?: number,
  ): void;
}

export interface NodeStoreEvents extends StoreEvents, RankedStoreEvents {}

export type OpenNodeStore = (
  events: NodeStoreEvents,
) => Promise<{ readonly store: NodeStore; readonly recovered: NodeRecovered }>;
