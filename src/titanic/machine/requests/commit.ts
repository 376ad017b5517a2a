/** A change that the writer commits, and how it ended: all that those who want something stored know of the writer. */
import type { Change, ChangeResult, StoreFailure } from '../../../store/store.js';
import type { AnswerNumber } from './store-waits.js';

/** How a commit ended. */
export type CommitOutcome =
  | {
      readonly kind: 'made';
      readonly result: ChangeResult;
      /** The results of `Commit.before`. */
      readonly before: readonly ChangeResult[];
      /** The change is here, but it is uncertain whether the peer has it, as `strict` promises. */
      readonly isDoubtful: boolean;
    }
  /** Nothing of it is stored, or that is uncertain: the failure tells. */
  | { readonly kind: 'failed'; readonly failure: StoreFailure }
  /** The store does not take it, and would not take it if it were tried again. */
  | { readonly kind: 'refused'; readonly failure: StoreFailure };

export interface Commit {
  readonly change: Change;
  /** Changes of the same request that precede it in the same batch: all are committed, or none. */
  readonly before?: readonly Change[];
  /** The party whose turn it takes; empty: no asker's. */
  readonly party: string;
  /** Bytes that it carries. */
  readonly bytes: number;
  /** The answer that tells of its end. Once that is given (D105), the commit is not begun any more. */
  readonly answer?: AnswerNumber;
  /** Called when the batch is about to be sent: values that depend on the order are set now. */
  begins?(): void;
  /**
   * Takes the outcome, of each attempt.
   * @returns true: it failed, and is to be tried again, because no client will repeat it
   */
  ended(outcome: CommitOutcome): boolean;
}
