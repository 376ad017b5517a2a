/** The pair around Titanic on a stage: a peer that confirms at once, or when the script says so. */
import { present } from '../../src/core/assert.js';
import { DISK_BATCH_BYTES } from '../../src/core/defaults.js';
import type { BatchOutcome, Replica } from '../../src/titanic/machine/requests/replica.js';
import type { Change, ChangeResult, Store, Transaction } from '../../src/store/store.js';

/** A batch that was sent to the peer. */
interface Shipped {
  readonly transaction: Transaction;
  readonly changes: readonly Change[];
}

export class StageReplica implements Replica {
  readonly silence = null;
  readonly isPaired = true;
  readonly answerMs = Infinity;
  readonly batchesMax = 1;
  readonly batchBytesMax = DISK_BATCH_BYTES;
  refusal: string | null = null;
  isHandingOver = false;
  /** In sync: batches are sent to the peer, and count once they are confirmed. */
  isInSync = true;
  /** All batches sent. */
  readonly shippings: Shipped[] = [];
  /** The batches that the peer has not confirmed yet. */
  readonly unconfirmed: { released(isDoubtful: boolean): void }[] = [];
  #store: Pick<Store, 'commit'> | null = null;
  #number = 0;
  #probes = 0;
  /** Probes that the peer has not answered yet. */
  readonly probing: number[] = [];

  /** The store is open. */
  opened(store: Pick<Store, 'commit'>, firstTransaction: number): void {
    this.#store = store;
    this.#number = firstTransaction;
  }

  /** The number of the next transaction. */
  next(): number {
    return this.#number++;
  }

  commit(changes: readonly Change[], outcome: BatchOutcome<readonly ChangeResult[]>): boolean {
    const number = this.next();
    const tombstones = this.isInSync ? ('known' as const) : ('all' as const);
    const transaction = { number, tombstones, holds: null, peerHolds: 0 };
    if (this.isInSync) {
      this.shippings.push({ transaction, changes });
      this.unconfirmed.push(outcome);
    }
    present(this.#store, 'a store that is open').commit(transaction, changes, outcome);
    return this.isInSync;
  }

  probe(): number | null {
    if (!this.isInSync) return null;
    this.probing.push(++this.#probes);
    return this.#probes;
  }

  /** The kinds of the changes in each batch sent, without sweeps. */
  get kinds(): string[] {
    return this.shippings
      .map(({ changes }) => changes.map(({ kind }) => kind).filter((kind) => kind !== 'sweep'))
      .filter(({ length }) => length > 0)
      .map((kinds) => kinds.join());
  }
}
