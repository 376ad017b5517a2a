/**
 * What replication needs of Titanic, the map and the store. What it needs of the pair:
 * bstar/ports.ts.
 */
import type { MapRecord } from '../store/map-record.js';
import type { NodeStore } from '../store/node-store.js';
import type { StoreFailure } from '../store/store.js';
import type { Titanic } from '../titanic/machine/titanic.js';

/** Titanic, as replication calls it. */
export type ReplicatedTitanic = Pick<
  Titanic,
  | 'batchFailed'
  | 'committed'
  | 'confirmed'
  | 'counted'
  | 'merged'
  | 'probed'
  | 'unconfirmed'
  | 'unprobed'
>;

/** The map machine, as replication calls it; see `MapMachine`. */
export interface ReplicatedMap {
  committed(transaction: number): void;
  batchFailed(transaction: number, failure: StoreFailure): void;
  released(transaction: number, isDoubtful: boolean): void;
  followed(changes: readonly MapRecord[]): void;
  numbersAbove(epoch: number): void;
}

export type ReplicatedStore = Pick<NodeStore, 'commit' | 'commitMap' | 'merge' | 'read'>;
