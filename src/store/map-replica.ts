/**
 * The replica port: how the map commits its changes. In a pair, another store holds them as well;
 * how they get there is not the map's business. (As `titanic/machine/replica.ts`.)
 */
import type { MapRecord } from './map-record.js';
import type { MapStore } from './map-store.js';
import type { Completion } from './store.js';

/** What becomes of a batch. If it awaits the peer, its consequences wait for `done` and `released`. */
export interface MapBatchOutcome extends Completion<unknown> {
  /**
   * The peer has it, or was lost. Called at any time, if the batch awaits the peer.
   * @param isDoubtful it was lost, and the changes were promised to both disks: they are published
   * without their uuids, so that no writer takes them for safe
   */
  released(isDoubtful: boolean): void;
}

export interface MapReplica {
  /** Why nothing may be changed now (`strict` without a peer in sync), or `null`. */
  readonly refusal: string | null;
  /**
   * Gives the changes to the store, as one transaction.
   * @returns true if it awaits the peer
   */
  commit(changes: readonly MapRecord[], outcome: MapBatchOutcome): boolean;
}

/** What the machine reads of the store itself. */
export type MapStoreReads = Pick<MapStore, 'listMap'>;
