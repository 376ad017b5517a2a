/**
 * What replication needs of Titanic, the map and the store. What it needs of the pair:
 * bstar/ports.ts.
 */
import type { StoredMap } from '../../store/map-replica.js';
import type { NodeStore } from '../../store/node-store.js';
import type { Titanic } from '../../titanic/machine/titanic.js';

/** Titanic, as replication calls it. */
export type ReplicatedTitanic = Pick<Titanic, 'merged' | 'probed' | 'unprobed'>;

/** The map machine, as replication calls it. */
export type ReplicatedMap = Pick<StoredMap, 'followed' | 'merged' | 'numbersAbove'>;

export type ReplicatedStore = Pick<NodeStore, 'commit' | 'commitMap' | 'merge' | 'read'>;
