/**
 * What replication needs of Titanic, of extensions and of the store. What it needs of the pair:
 * bstar/ports.ts.
 */
import type { StoredPart } from '../../store/ranked.js';
import type { NodeStore } from '../../store/node-store.js';
import type { Titanic } from '../../titanic/machine/titanic.js';

/** Titanic, as replication calls it. */
export type ReplicatedTitanic = Pick<Titanic, 'merged' | 'probed' | 'unprobed'>;

/** An extension that keeps records, as replication calls it. */
export type ReplicatedPart = Pick<StoredPart, 'followed' | 'merged' | 'numbersAbove'>;

export type ReplicatedStore = Pick<NodeStore, 'commit' | 'commitRanked' | 'merge' | 'read'>;
