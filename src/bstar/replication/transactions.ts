/**
 * Numbers the transactions of this node's store and knows what each one carries. Keeps account of
 * which of the peer's transactions this store holds (D20).
 */
import { present } from '../../core/assert.js';
import type { Holding, Tombstones, Transaction } from '../../store/store.js';

/** What a transaction in progress carries. */
type Carried =
  /**
   * Changes of this node. `became`: the peer's number for them, 0 if the peer has not reported
   * it.
   */
  | { readonly kind: 'own'; became: number }
  /** Data from the peer. `holds`: what this store holds of the peer's once it is committed. */
  | { readonly kind: 'peer'; readonly holds: Holding }
  /** Nothing but what this store holds of the peer's. */
  | { readonly kind: 'holding' };

export class Transactions {
  readonly #storeId: Buffer;
  readonly #inProgress = new Map<number, Carried>();
  #next: number;
  #holds: Holding | null;
  /** `holds` changed since it was last written. */
  #isUnwritten = false;
  /**
   * A transaction of this node's own failed here, and the peer may have its changes: what the peer made since is not
   * held before the peer's data has come again.
   */
  #isTorn = false;
  #peerHolds = 0;

  /**
   * @param storeId of this store
   * @param first the number of the first transaction
   * @param holds what the store holds of the peer's, as recovered
   */
  constructor(storeId: Buffer, first: number, holds: Holding | null) {
    this.#storeId = storeId;
    this.#next = first;
    this.#holds = holds;
  }

  /** What this store holds of the peer's; `null`: nothing, or it is not known. */
  get holds(): Holding | null {
    return this.#holds;
  }

  // ---------------------------------------------------------------- begin and end

  /** Begins a transaction of this node's own changes. */
  ofOwn(tombstones: Tombstones): Transaction {
    const holds = this.#isUnwritten ? this.#holds : null;
    return this.#begin(tombstones, holds, { kind: 'own', became: 0 });
  }

  /** Begins a transaction of data from the peer. */
  ofPeer(tombstones: Tombstones, holds: Holding): Transaction {
    return this.#begin(tombstones, holds, { kind: 'peer', holds });
  }

  /** Begins a transaction that writes `holds` alone; `null` if that is on disk already. */
  ofHolding(): Transaction | null {
    if (!this.#isUnwritten) return null;
    return this.#begin('all', this.#holds, { kind: 'holding' });
  }

  #begin(tombstones: Tombstones, holds: Holding | null, carried: Carried): Transaction {
    this.#isUnwritten = false;
    const number = this.#next++;
    this.#inProgress.set(number, carried);
    return { number, tombstones, holds, peerHolds: this.#peerHolds };
  }

  /** The store committed this transaction. */
  committed(number: number): void {
    const carried = this.#end(number);
    if ('became' in carried) {
      this.peerMade(carried.became, 0);
    } else if (carried.kind === 'peer') {
      this.#holds = carried.holds;
      this.#isTorn = false;
    }
  }

  /** The store did not commit this transaction. */
  failed(number: number): void {
    if ('became' in this.#end(number)) this.#isTorn = true;
  }

  #end(number: number): Carried {
    const carried = present(this.#inProgress.get(number), 'a transaction in progress');
    this.#inProgress.delete(number);
    return carried;
  }

  // ---------------------------------------------------------------- what each store holds

  /**
   * The peer's transaction `number` is on its disk, and contains only data from this node.
   * @param of this node's transaction that it repeats; if that is still in progress, this store
   * holds it once it is committed. 0: none.
   */
  peerMade(number: number, of: number): void {
    const carried = this.#inProgress.get(of);
    if (carried !== undefined && 'became' in carried) {
      carried.became = number;
      return;
    }
    if (this.#isTorn || this.#holds === null || number <= this.#holds.upTo) return;
    this.#holds = { storeId: this.#holds.storeId, upTo: number, bodiesUpTo: number };
    this.#isUnwritten = true;
  }

  /** What this store holds after it has repeated the peer's transaction; `null`: not known. */
  holdsAfter(number: number): Holding | null {
    if (this.#holds === null) return null;
    return { storeId: this.#holds.storeId, upTo: number, bodiesUpTo: number };
  }

  /** Forgets what this store holds of the peer's, since it may lack some: the next join asks for everything. */
  forgetHolds(): void {
    this.#holds = null;
  }

  /** The peer's disk has this store's changes up to this one. */
  peerHasUpTo(number: number): void {
    this.#peerHolds = Math.max(this.#peerHolds, number);
  }

  /**
   * From where the store is read for a peer that holds this much; `null`: from the beginning.
   * A peer that holds more than exists here has it from a later state of this file, which was lost.
   */
  readFrom(holding: Holding | null): Holding | null {
    const isOfThis = holding?.storeId.equals(this.#storeId) === true && holding.upTo < this.#next;
    return isOfThis ? holding : null;
  }
}
