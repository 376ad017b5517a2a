/**
 * Titanic's store, as a pair sees it. Transactions are numbered here, both those of the Titanic
 * machine and those from the peer; to the pair, records and batches are bytes (D14, D17, D20).
 */
import { present } from '../core/assert.js';
import type { PairEvents } from '../bstar/events.js';
import type { PairMachine } from '../bstar/pair.js';
import { packBatch, unpackBatch } from '../titanic/store/batch-codec.js';
import type { Replica } from '../titanic/machine/replica.js';
import {
  type Change,
  type Chunk,
  type Format,
  FORMAT,
  type Holding,
  type Merged,
  type MergeFailure,
  readFrom,
  type ReadPlace,
  type Recovered,
  type Store,
  type StoreCounts,
  type StoreFailure,
  type Tombstones,
  type Transaction,
} from '../titanic/store/store.js';
import type { Titanic } from '../titanic/machine/titanic.js';

/**
 * Size of a chunk of records: reading one takes no longer than a commit, since commits wait
 * meanwhile.
 */
const CHUNK_REQUESTS = 250;
const CHUNK_BYTES = 256 * 1024;

const STRICT_REFUSAL = 'the peer is not in sync, and titanic.replication is strict';

/** The callbacks to the pair. */
type PairOfStore = Pick<
  PairMachine,
  'begin' | 'chunk' | 'isInSync' | 'probe' | 'readFailed' | 'rolledBack' | 'stored' | 'storeFailed'
> & { readonly facts: Pick<PairMachine['facts'], 'state'> };
type StoredByPair = Pick<
  Titanic,
  | 'activate'
  | 'confirmed'
  | 'counted'
  | 'deactivate'
  | 'merged'
  | 'probed'
  | 'unconfirmed'
  | 'unprobed'
>;
type ReplicatedStore = Pick<Store, 'commit' | 'merge' | 'read'>;

export class PairStore implements Replica {
  readonly isPaired = true;
  readonly storeId: Buffer;
  readonly #store: ReplicatedStore;
  readonly #isStrict: boolean;
  readonly #events: PairEvents;
  #machine: PairOfStore | null = null;
  #titanic: StoredByPair | null = null;
  #counts: StoreCounts;
  #nextTransaction: number;
  /** The format of the peer's version of the peer protocol. */
  format: Format = FORMAT;
  /** What this store holds of the peer's; written with the next transaction if it has changed. */
  holds: Holding | null;
  #isHoldsNews = false;
  #peerHolds = 0;
  /** Where reading what the peer lacks continues. */
  #place: ReadPlace | null = null;
  #lastRead = 0;
  /** Transactions of the pair, and what this store holds after each. */
  readonly #own = new Map<number, Holding>();
  /** Titanic's transactions in progress, and what they became at the peer, once known. */
  readonly #undecided = new Map<number, number>();
  /** Transactions that write only `holds`. */
  readonly #keeping = new Set<number>();

  constructor(store: ReplicatedStore, recovered: Recovered, isStrict: boolean, events: PairEvents) {
    this.#store = store;
    this.#isStrict = isStrict;
    this.#events = events;
    this.storeId = recovered.storeId;
    this.holds = recovered.holds;
    this.#counts = recovered.counts;
    this.#nextTransaction = recovered.firstTransaction;
  }

  attach(machine: PairOfStore, titanic: StoredByPair): void {
    this.#machine = machine;
    this.#titanic = titanic;
  }

  get #pair(): PairOfStore {
    return present(this.#machine, 'a pair store belongs to a pair');
  }

  get #stored(): StoredByPair {
    return present(this.#titanic, 'a pair store belongs to a Titanic');
  }

  // ---------------------------------------------------------------- Titanic's transactions

  begin(): Transaction {
    const tombstones = this.#pair.isInSync ? 'known' : 'all';
    return this.#transaction(tombstones, this.#isHoldsNews ? this.holds : null);
  }

  #transaction(tombstones: Tombstones, holds: Holding | null): Transaction {
    this.#isHoldsNews = false;
    return { number: this.#nextTransaction++, tombstones, holds, peerHolds: this.#peerHolds };
  }

  shipped({ number, tombstones }: Transaction, changes: readonly Change[]): boolean {
    this.#undecided.set(number, 0);
    return this.#pair.begin(number, () => packBatch({ tombstones, changes }, this.format));
  }

  get refusal(): string | null {
    return this.#isStrict && !this.#pair.isInSync ? STRICT_REFUSAL : null;
  }

  probe(): number | null {
    return this.#pair.probe();
  }

  // ---------------------------------------------------------------- calls from the pair

  activate(): void {
    this.#stored.activate(this.#counts);
  }

  deactivate(): void {
    this.#stored.deactivate();
  }

  read(from: Holding | null): void {
    // A peer that holds more than exists here has it from a later state of this file, which was
    // lost.
    const isOfThis =
      from?.storeId.equals(this.storeId) === true && from.upTo < this.#nextTransaction;
    this.#place = readFrom(isOfThis ? from : null);
    this.readOn();
  }

  readOn(): void {
    if (this.#place === null) return;
    this.#store.read(++this.#lastRead, this.#place, CHUNK_REQUESTS, CHUNK_BYTES, this.format);
  }

  merge(records: Buffer, holds: Holding, isFromActive: boolean): void {
    const transaction = this.#transaction('all', holds);
    this.#own.set(transaction.number, holds);
    this.#store.merge(transaction, records, isFromActive);
  }

  apply(bytes: Buffer, number: number): void {
    const batch = unpackBatch(bytes);
    if (batch === null || this.holds === null) {
      this.#fail('malformed bytes');
      return;
    }
    const holds = { storeId: this.holds.storeId, upTo: number, bodiesUpTo: number };
    const transaction = this.#transaction(batch.tombstones, holds);
    this.#own.set(transaction.number, holds);
    this.#store.commit(transaction, batch.changes);
  }

  peerBecame(number: number, of: number): void {
    if (this.#undecided.has(of)) {
      this.#undecided.set(of, number);
      return;
    }
    if (this.holds === null || number <= this.holds.upTo) return;
    this.holds = { storeId: this.holds.storeId, upTo: number, bodiesUpTo: number };
    this.#isHoldsNews = true;
  }

  /**
   * Writes `holds` now: if there is nothing to commit, it would be lost, and the data sent again
   * (D20).
   */
  keep(): void {
    if (!this.#isHoldsNews) return;
    const transaction = this.#transaction('all', this.holds);
    this.#keeping.add(transaction.number);
    this.#store.commit(transaction, []);
  }

  peerHolds(number: number): void {
    this.#peerHolds = Math.max(this.#peerHolds, number);
  }

  confirmed(number: number): void {
    this.#stored.confirmed(number);
  }

  unconfirmed(number: number): void {
    this.#stored.unconfirmed(number);
  }

  probed(number: number): void {
    this.#stored.probed(number);
  }

  unprobed(): void {
    this.#titanic?.unprobed();
  }

  // ---------------------------------------------------------------- events of the store

  /** Returns false if the transaction is Titanic's own. */
  committed(number: number, counts: StoreCounts): boolean {
    this.#count(counts);
    const became = this.#undecided.get(number);
    if (became !== undefined) {
      this.#undecided.delete(number);
      this.peerBecame(became, number);
      return false;
    }
    if (this.#keeping.delete(number)) return true;
    const holds = this.#own.get(number);
    if (holds === undefined) return false;
    this.#stores(number, holds, 0, 0);
    return true;
  }

  /** Returns false if the transaction is Titanic's own. */
  batchFailed(number: number, { message }: StoreFailure): boolean {
    if (this.#undecided.delete(number)) this.#pair.rolledBack(number);
    // At worst it is sent again later.
    if (this.#keeping.delete(number)) return true;
    if (!this.#own.delete(number)) return false;
    this.#fail(message);
    return true;
  }

  merged(number: number, { joined, ranTwice, opened, ended }: Merged, counts: StoreCounts): void {
    this.#count(counts);
    const holds = this.#own.get(number);
    if (holds === undefined) return;
    if (this.#pair.facts.state === 'active') this.#stored.merged(opened, ended);
    this.#stores(number, holds, joined, ranTwice);
  }

  mergeFailed(number: number, { kind, message }: MergeFailure): void {
    this.#own.delete(number);
    // The record may have come without a body that this store lacks: next time ask for everything.
    if (kind === 'malformed') this.holds = null;
    this.#fail(message);
  }

  chunk(read: number, { records, holds, next }: Chunk): void {
    if (read !== this.#lastRead) return;
    this.#place = next;
    this.#pair.chunk(records, holds, next === null);
  }

  readFailed(read: number, { message: text }: StoreFailure): void {
    if (read !== this.#lastRead) return;
    this.#events.emit({ name: 'ha.failed', text });
    this.#pair.readFailed();
  }

  #stores(number: number, holds: Holding, joined: number, ranTwice: number): void {
    this.#own.delete(number);
    this.holds = holds;
    this.#pair.stored(number, joined, ranTwice);
  }

  #count(counts: StoreCounts): void {
    this.#counts = counts;
    this.#stored.counted(counts);
  }

  #fail(text: string): void {
    this.#events.emit({ name: 'ha.failed', text });
    this.#pair.storeFailed();
  }
}
