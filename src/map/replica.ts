/**
 * The replica port: how the map commits its changes. In a pair, another store holds them as well;
 * how they get there is not the map's business. (As `titanic/machine/replica.ts`.)
 */
import type { MapRecord } from '../store/map-record.js';

/** A batch that was given to the store. */
export interface SubmittedMapBatch {
  /** The number of its transaction. */
  readonly number: number;
  /** Its consequences wait for `MapMachine.released`. */
  readonly awaitsPeer: boolean;
}

export interface MapReplica {
  /** Why nothing may be changed now (`strict` without a peer in sync), or `null`. */
  readonly refusal: string | null;
  /**
   * Gives the changes to the store, as one transaction. `MapMachine.committed` or `batchFailed`
   * follows, never within the call.
   */
  commit(changes: readonly MapRecord[]): SubmittedMapBatch;
}

/** What the machine reads of the store itself. */
export interface MapStoreReads {
  /** As `MapStore.listMap`; `MapMachine.listed` or `listFailed` follows. */
  list(list: number, after: string): void;
}
