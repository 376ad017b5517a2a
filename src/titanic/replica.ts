/**
 * The replica port: what Titanic knows of the pair that its store belongs to. The pair itself, and
 * what it sends, are others'.
 */
import type { Change, Transaction } from './store.js';

export interface Replica {
  /** There is another store that may hold what this one does not. */
  readonly isPaired: boolean;
  /** Why no client may change anything now (`strict` without a peer in sync), or `null`. */
  readonly refusal: string | null;
  /** Titanic's next transaction, with what the pair has to say in it. */
  begin(): Transaction;
  /**
   * The store is given this transaction now.
   * @returns true if what follows from it waits for `Titanic.confirmed` or `unconfirmed`
   */
  shipped(transaction: Transaction, changes: readonly Change[]): boolean;
  /**
   * Whether what is in no row here is unknown (400). 0: it is. `null`: nobody can say (300). Else a
   * number: it is, once `Titanic.probed` is told it; `unprobed`: nobody can say.
   */
  probe(): number | null;
}

/** Of a store that belongs to no pair. */
export class Alone implements Replica {
  readonly isPaired = false;
  readonly refusal = null;
  #number: number;

  /** @param firstTransaction of the store */
  constructor(firstTransaction: number) {
    this.#number = firstTransaction;
  }

  begin(): Transaction {
    return { number: this.#number++, tombstones: 'none', holds: null, peerHolds: 0 };
  }

  shipped(): boolean {
    return false;
  }

  probe(): number {
    return 0;
  }
}
