/** The pair around Titanic on a stage: a peer that confirms at once, or when the script says so. */
import type { Replica } from '../../src/titanic/replica.js';
import type { Change, Tombstones, Transaction } from '../../src/titanic/store.js';

/** A batch that was shipped. */
interface Shipped {
  readonly transaction: Transaction;
  readonly changes: readonly Change[];
}

export class StageReplica implements Replica {
  readonly isPaired = true;
  refusal: string | null = null;
  /** In sync: batches are shipped, and count when they are confirmed. */
  isInSync = true;
  /** All of them. */
  readonly shippings: Shipped[] = [];
  /** Numbers of those that the peer is to confirm yet. */
  readonly unconfirmed: number[] = [];
  #number = 0;
  #probes = 0;
  /** Probes that the peer is to answer yet. */
  readonly probing: number[] = [];

  /** Of the store, once it is open. */
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

  /** Kinds of the changes of each batch that was shipped, without sweeps. */
  get kinds(): string[] {
    return this.shippings
      .map(({ changes }) => changes.map(({ kind }) => kind).filter((kind) => kind !== 'sweep'))
      .filter(({ length }) => length > 0)
      .map((kinds) => kinds.join());
  }
}
