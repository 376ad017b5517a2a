/** For a store that belongs to no pair: numbers its transactions, of Titanic and of extensions. */
import { DISK_BATCH_BYTES } from '../../core/defaults.js';
import type { RankedReplica, RankedStore } from '../../store/ranked.js';
import type { BatchOutcome, Replica } from '../../titanic/machine/requests/replica.js';
import type { Change, ChangeResult, Store, Transaction } from '../../store/store.js';

export class Standalone implements Replica {
  readonly isPaired = false;
  readonly answerMs = Infinity;
  readonly batchesMax = 1;
  readonly batchBytesMax = DISK_BATCH_BYTES;
  readonly refusal = null;
  readonly silence = null;
  readonly #store: Pick<Store, 'commit'>;
  #number: number;

  /** @param firstTransaction number of the store's first transaction */
  constructor(store: Pick<Store, 'commit'>, firstTransaction: number) {
    this.#store = store;
    this.#number = firstTransaction;
  }

  commit(changes: readonly Change[], outcome: BatchOutcome<readonly ChangeResult[]>): boolean {
    this.#store.commit(this.#begin(), changes, outcome);
    return false;
  }

  /** The replica of a part in the same store. */
  partIn(store: Pick<RankedStore, 'commitRanked'>, part: number): RankedReplica {
    return {
      refusal: null,
      commit: (changes, outcome) => {
        store.commitRanked(this.#begin(), part, changes, outcome);
        return false;
      },
    };
  }

  #begin(): Transaction {
    return { number: this.#number++, tombstones: 'none', holds: null, peerHolds: 0 };
  }

  probe(): number {
    return 0;
  }
}
