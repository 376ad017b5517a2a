/**
 * The ports to the store: how the map commits its changes, reads its records, and is told what became of
 * them. In a pair, another store holds them as well; how they get there is not the map's business. (As
 * `titanic/machine/requests/replica.ts`; `../storage.ts` has what is behind them.)
 */
import type { RankedOutcome } from '../../../store/ranked.js';
import type { Completion } from '../../../store/store.js';
import type { MapRecord } from './record.js';

export interface MapReplica {
  /** Why nothing may be changed now (`strict` without a peer in sync), or `null`. */
  readonly refusal: string | null;
  /** See `RankedReplica`. */
  readonly isHandingOver?: boolean;
  /**
   * Gives the changes to the store, as one transaction. Doubtful ones are published without their uuids, so
   * that no writer takes them for safe.
   * @returns true if it awaits the peer
   */
  commit(changes: readonly MapRecord[], outcome: RankedOutcome): boolean;
}

/** What the machine reads of the store itself. */
export interface MapStoreReads {
  /** See `RankedStore.listRanked`. The records may be kept. */
  listMap(after: string, completion: Completion<readonly MapRecord[]>): void;
}

/** What a merge did to the map: see `RankedMerged`. */
export interface MapMerged {
  readonly changed: readonly MapRecord[];
  readonly ineffective: readonly MapRecord[];
  readonly conflicts: readonly string[];
}

/** The machine of the map, as its store and replication call it. */
export interface MapStoreEvents {
  /** The bytes that the tombstones on disk count have changed (`RECORD_BYTES`). */
  tombstoneBytesChanged(bytes: number): void;
  /** See `StoredPart`. */
  followed(changes: readonly MapRecord[]): void;
  merged(merged: MapMerged): void;
  numbersAbove(epoch: number): void;
}

/** Where a map keeps its records: beside the requests. */
export interface MapStorage {
  readonly replica: MapReplica;
  readonly store: MapStoreReads;
  /** The highest epoch of any record in the store; 0: there is none. */
  readonly epochMax: number;
  /** From now on, this machine is told what becomes of its changes. Called before it is opened. */
  serve(machine: MapStoreEvents): void;
}
