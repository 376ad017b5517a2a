/** Routes the store's events: those of the pair to the pair, all others to Titanic. */
import { present } from '../core/assert.js';
import { MajordomoError } from '../core/errors.js';
import type { MergeFailure, StoreEvents, StoreFailure } from '../titanic/store/store.js';
import type { Titanic } from '../titanic/machine/titanic.js';
import type { PairStore } from './pair-store.js';
import type { Time } from './turns.js';

/** Error codes of a start that could not read the pending requests. */
const LIST_CODES: Readonly<Record<StoreFailure['kind'], string>> = {
  full: 'ERR_TITANIC_FULL',
  busy: 'ERR_TITANIC_BUSY',
  fatal: 'ERR_TITANIC_DISK',
};

/** Passes the store's events to the machine, which acts on them in the turn that `wake` causes. */
export class StoreEventRouter implements StoreEvents {
  readonly #wake: () => void;
  readonly #time: Time;
  readonly #fatal: (error: MajordomoError) => void;
  /** Set when the store is open; before that the store has nothing to report. */
  #titanic: Titanic | null = null;
  #pairStore: PairStore | null = null;
  #restored: { done(): void; failed(error: MajordomoError): void } | null = null;

  /** @param wake an event arrived: a turn is due */
  constructor(wake: () => void, time: Time, fatal: (error: MajordomoError) => void) {
    this.#wake = wake;
    this.#time = time;
    this.#fatal = fatal;
  }

  begin(titanic: Titanic, pairStore: PairStore | null): void {
    this.#titanic = titanic;
    this.#pairStore = pairStore;
  }

  /** Resolves when the machine knows all pending requests; rejects if they cannot be read. */
  restored(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#restored = { done: resolve, failed: reject };
    });
  }

  committed(...told: Parameters<StoreEvents['committed']>): void {
    const [number, , counts] = told;
    this.#wake();
    if (this.#pairStore?.committed(number, counts) !== true) this.#machine.committed(...told);
  }

  batchFailed(transaction: number, failure: StoreFailure): void {
    this.#wake();
    if (this.#pairStore?.batchFailed(transaction, failure) !== true) {
      this.#machine.batchFailed(transaction, failure);
    }
    this.#end(failure);
  }

  loaded(...told: Parameters<StoreEvents['loaded']>): void {
    this.#machine.loaded(...told);
  }

  found(...told: Parameters<StoreEvents['found']>): void {
    this.#machine.found(...told);
  }

  listed(...told: Parameters<StoreEvents['listed']>): void {
    const machine = this.#machine;
    machine.setTime(this.#time.now(), this.#time.wall());
    machine.listed(...told);
    if (!machine.isRestored) return;
    this.#restored?.done();
    this.#restored = null;
  }

  loadFailed(load: number, failure: StoreFailure): void {
    this.#machine.loadFailed(load);
    this.#end(failure);
  }

  lookFailed(look: number, failure: StoreFailure): void {
    this.#machine.lookFailed(look);
    this.#end(failure);
  }

  listFailed(list: number, failure: StoreFailure): void {
    this.#machine.listFailed(list);
    if (this.#restored === null) this.#end(failure);
    else this.#restored.failed(new MajordomoError(LIST_CODES[failure.kind], failure.message));
    this.#restored = null;
  }

  merged(...told: Parameters<StoreEvents['merged']>): void {
    this.#wake();
    this.#pairStore?.merged(...told);
  }

  mergeFailed(transaction: number, failure: MergeFailure): void {
    this.#wake();
    this.#pairStore?.mergeFailed(transaction, failure);
    if (failure.kind !== 'malformed') this.#end({ ...failure, kind: failure.kind });
  }

  chunk(...told: Parameters<StoreEvents['chunk']>): void {
    this.#wake();
    this.#pairStore?.chunk(...told);
  }

  readFailed(read: number, failure: StoreFailure): void {
    this.#wake();
    this.#pairStore?.readFailed(read, failure);
    this.#end(failure);
  }

  get #machine(): Titanic {
    this.#wake();
    return present(this.#titanic, 'a store tells nothing that it was not asked');
  }

  #end(failure: StoreFailure): void {
    if (failure.kind !== 'fatal') return;
    this.#fatal(new MajordomoError('ERR_TITANIC_DISK', failure.message));
  }
}
