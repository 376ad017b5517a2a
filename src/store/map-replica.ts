/**
 * The replica port: how the map commits its changes. In a pair, another store holds them as well;
 * how they get there is not the map's business. (As `titanic/machine/replica.ts`.)
 */
import type { MapRecord } from './map-record.js';
import type { MapMerged, MapStore, MapStoreEvents } from './map-store.js';
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

/** The machine of the map, as its store and replication call it. */
export interface StoredMap extends MapStoreEvents {
  /** Changes of the active node are on this disk, in order. */
  followed(changes: readonly MapRecord[]): void;
  /** What the peer had that this node had not. */
  merged(merged: MapMerged): void;
  /**
   * The store is about to take in records of the peer, which may have led with this epoch, above this
   * node's own: what changes from now on is numbered above them, or the store would keep theirs (D54).
   */
  numbersAbove(epoch: number): void;
}

/** Where a map keeps its records: beside the requests. */
export interface MapStorage {
  readonly replica: MapReplica;
  readonly store: MapStoreReads;
  /** The highest epoch of any record in the store; 0: there is none. */
  readonly epochMax: number;
  /** When the store was opened; see `MapStoreEvents.mapTombstones`. */
  readonly tombstoneBytes: number;
  /** From now on, this machine is told what becomes of its changes. Called before it is opened. */
  serve(machine: StoredMap): void;
}
