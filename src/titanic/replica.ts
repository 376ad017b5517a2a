/**
 * The replica port: what Titanic knows of the pair that its store belongs to. The pair itself, and
 * what it sends, are others'.
 */
import type { Transaction } from './store.js';

export interface Replica {
  /** Titanic's next transaction, with what the pair has to say in it. */
  begin(): Transaction;
}

/** Of a store that belongs to no pair. */
export class Alone implements Replica {
  #number: number;

  /** @param firstTransaction of the store */
  constructor(firstTransaction: number) {
    this.#number = firstTransaction;
  }

  begin(): Transaction {
    return { number: this.#number++, tombstones: 'none', holds: null, peerHolds: 0 };
  }
}
