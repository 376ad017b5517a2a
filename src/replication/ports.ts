/** What replication needs of Titanic and of the store. What it needs of the pair: bstar/ports.ts. */
import type { Store } from '../titanic/store/store.js';
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

export type ReplicatedStore = Pick<Store, 'commit' | 'merge' | 'read'>;
