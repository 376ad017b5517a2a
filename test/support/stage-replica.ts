/** The pair around Titanic on a stage: a peer that confirms at once, or when the script says so. */
import type { Replica } from '../../src/titanic/machine/replica.js';
import type { Change, Tombstones, Transaction } from '../../src/titanic/store/store.js';

/** A batch that was sent to the peer. */
interface Shipped {
  readonly transaction: Transaction;
  readonly changes: readonly Change[];
}

export class StageReplica implements Replica {
  readonly isPaired = true;
  refusal: string | null = null;
  /** In sync: batches are sent to the peer, and count once they are confirmed. */
  isInSync = true;
  /** All batches sent. */
  readonly shippings: Shipped[] = [];
  /** Numbers of the batches that the peer has not confirmed yet. */
  readonly unconfirmed: number[] = [];
  #number = 0;
  #probes = 0;
  /** Probes that the peer has not answered yet. */
  readonly probing: number[] = [];

  /** The store's, once it is open. */
  opened(firstTransaction: number): void {
    this.#number = firstTransaction;
  }

  begin(): Transaction {
    const tombstones: Tombstones = this.isInSync ? 'known' : 'all';
    return { number: this.#number++, tombstones, holds: null, peerHolds: 0 };
  }

  shipped(transaction: Transaction, changes: readonly Change[]): boolean {
    if (!this.isInSync) return false;
    this.shippings.push({ transaction, changes });
    this.unconfirmed.push(transaction.number);
    return true;
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
