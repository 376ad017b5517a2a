/**
 * The replica port: how Titanic commits its changes. In a pair, another store holds them as well;
 * how they get there is not Titanic's business.
 */
import type { Change } from '../../store/store.js';

/** A batch that was given to the store. */
export interface SubmittedBatch {
  /** The number of its transaction. */
  readonly number: number;
  /** Its consequences wait for `Titanic.confirmed` or `unconfirmed`. */
  readonly awaitsPeer: boolean;
}

export interface Replica {
  /** True if another store may hold what this one does not. */
  readonly isPaired: boolean;
  /** Why clients may not change anything now (`strict` without a peer in sync), or `null`. */
  readonly refusal: string | null;
  /**
   * Why nothing can be said about stored requests now, not even that one is pending, or `null`: the
   * store cannot be reached, and another broker may use it.
   */
  readonly silence: string | null;
  /**
   * How long a client waits for the store; then it is answered 500 (D105). Infinity: as long as it takes,
   * because the store is a file.
   */
  readonly answerMs: number;
  /** How many batches it takes at a time. */
  readonly batchesMax: number;
  /** How many bytes a batch has at most, or one change. */
  readonly batchBytesMax: number;
  /**
   * Gives the changes to the store, as one transaction. `Titanic.committed` or `batchFailed`
   * follows.
   */
  commit(changes: readonly Change[]): SubmittedBatch;
  /**
   * Whether a uuid that is in no row here is unknown (400). 0: it is unknown. `null`: this cannot
   * be known now (300). Otherwise the number of a probe: it is unknown once `Titanic.probed` is
   * called with that number; after `unprobed`, this cannot be known.
   */
  probe(): number | null;
}
