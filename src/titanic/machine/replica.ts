/**
 * The replica port: what Titanic knows about the pair that its store belongs to. The pair itself,
 * and what it sends, are implemented elsewhere.
 */
import type { Change, Transaction } from '../store/store.js';

export interface Replica {
  /** True if another store may hold what this one does not. */
  readonly isPaired: boolean;
  /** Why clients may not change anything now (`strict` without a peer in sync), or `null`. */
  readonly refusal: string | null;
  /** Titanic's next transaction, with the pair's own data in it. */
  begin(): Transaction;
  /**
   * The store is given this transaction now.
   * @returns true if its consequences wait for `Titanic.confirmed` or `unconfirmed`
   */
  shipped(transaction: Transaction, changes: readonly Change[]): boolean;
  /**
   * Whether a uuid that is in no row here is unknown (400). 0: it is unknown. `null`: this cannot
   * be known now (300). Otherwise the number of a probe: it is unknown once `Titanic.probed` is
   * called with that number; after `unprobed`, this cannot be known.
   */
  probe(): number | null;
}

/** For a store that belongs to no pair. */
export class Alone implements Replica {
  readonly isPaired = false;
  readonly refusal = null;
  #number: number;

  /** @param firstTransaction number of the store's first transaction */
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
