/**
 * The replica port: how Titanic commits its changes. In a pair, another store holds them as well;
 * how they get there is not Titanic's business.
 */
import type { Change, ChangeResult, Completion } from '../../../store/store.js';

/** What becomes of a batch. If it awaits the peer, its consequences wait for `done` and `released`. */
export interface BatchOutcome<Result> extends Completion<Result> {
  /**
   * The peer has it, or was lost. Called at any time, if the batch awaits the peer.
   * @param isDoubtful it was lost, and the changes were promised to both disks
   */
  released(isDoubtful: boolean): void;
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
   * True while this node hands over to its peer: what is under way ends, and nothing new begins. Absent: it
   * never does.
   */
  readonly isHandingOver?: boolean;
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
   * Gives the changes to the store, as one transaction.
   * @returns true if it awaits the peer
   */
  commit(changes: readonly Change[], outcome: BatchOutcome<readonly ChangeResult[]>): boolean;
  /**
   * Whether a uuid that is in no row here is unknown (400). 0: it is unknown. `null`: this cannot
   * be known now (300). Otherwise the number of a probe: it is unknown once `Titanic.probed` is
   * called with that number; after `unprobed`, this cannot be known.
   */
  probe(): number | null;
}
