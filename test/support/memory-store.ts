/**
 * A store in memory for the simulator: what is on its disk outlives crashes, what is under way does
 * not; any call can fail, and takes as long as the simulator says.
 */
import type {
  Change,
  OpenStore,
  RequestUuid,
  Store,
  StoreEvents,
  StoreFailure,
} from '../../src/titanic/store.js';
import { MemoryTables, type StoreContent } from './memory-tables.js';

/** `told` comes after each `commit`: what it is told was on disk before. */
export type StoreCall = 'open' | 'commit' | 'told' | 'load' | 'lookUp';

export interface StoreFault {
  readonly failure: StoreFailure;
  /** The batch is on disk all the same: only a fatal failure leaves that open. */
  readonly isApplied?: boolean;
}

export interface MemoryDiskOptions {
  /** Runs it later: at once never. */
  readonly schedule: (call: StoreCall, run: () => void) => void;
  /** Asked when the call is carried out. */
  readonly faultOf?: (call: StoreCall) => StoreFault | null;
}

const PIECE_REQUESTS = 100;

/** The disk under memory stores, one at a time. */
export class MemoryDisk {
  readonly #options: MemoryDiskOptions;
  readonly #tables = new MemoryTables();
  #open: MemoryStore | null = null;

  constructor(options: MemoryDiskOptions) {
    this.#options = options;
  }

  /** Opens a store on it; one that was not closed is lost as by a crash. */
  readonly openStore: OpenStore = (events, pending) => {
    this.crash();
    return new Promise((resolve, reject) => {
      this.#options.schedule('open', () => {
        const fault = this.#options.faultOf?.('open') ?? null;
        if (fault !== null) {
          reject(new Error(fault.failure.message));
          return;
        }
        const store = new MemoryStore(this.#tables, this.#options, events);
        this.#open = store;
        const requests = this.#tables.pending();
        for (let at = 0; at < requests.length; at += PIECE_REQUESTS) {
          pending(requests.slice(at, at + PIECE_REQUESTS));
        }
        const { counts, nextNumber } = this.#tables;
        resolve({ store, recovered: { counts, nextNumber } });
      });
    });
  };

  /** The process ends: nothing that is under way gets on disk, and nobody is told anything. */
  crash(): void {
    this.#open?.kill();
    this.#open = null;
  }

  content(): StoreContent {
    return this.#tables.content();
  }
}

interface Order {
  readonly call: StoreCall;
  carryOut(): void;
  fail(failure: StoreFailure): void;
}

class MemoryStore implements Store {
  readonly #tables: MemoryTables;
  readonly #options: MemoryDiskOptions;
  readonly #events: StoreEvents;
  /** The first is under way, if it is busy. */
  readonly #orders: Order[] = [];
  #isBusy = false;
  #fatal: StoreFailure | null = null;
  #isDead = false;
  #closed: (() => void) | null = null;

  constructor(tables: MemoryTables, options: MemoryDiskOptions, events: StoreEvents) {
    this.#tables = tables;
    this.#options = options;
    this.#events = events;
  }

  kill(): void {
    this.#isDead = true;
  }

  commit(batch: number, changes: readonly Change[]): void {
    this.#order({
      call: 'commit',
      carryOut: () => {
        const results = changes.map((change) => this.#tables.apply(change));
        const { counts } = this.#tables;
        this.#orders.unshift({
          call: 'told',
          carryOut: () => this.#events.committed(batch, results, counts),
          fail: (failure) => this.#events.batchFailed(batch, failure),
        });
      },
      fail: (failure) => this.#events.batchFailed(batch, failure),
    });
  }

  load(load: number, uuids: readonly RequestUuid[]): void {
    this.#order({
      call: 'load',
      carryOut: () => {
        const bodies = uuids.map((uuid) => this.#tables.body(uuid));
        this.#events.loaded(load, bodies);
      },
      fail: (failure) => this.#events.loadFailed(load, failure),
    });
  }

  lookUp(look: number, uuid: RequestUuid): void {
    this.#order({
      call: 'lookUp',
      carryOut: () => this.#events.found(look, this.#tables.lookUp(uuid)),
      fail: (failure) => this.#events.lookFailed(look, failure),
    });
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#closed = resolve;
      if (!this.#isBusy) resolve();
    });
    this.#isDead = true;
  }

  #order(order: Order): void {
    if (this.#isDead) return;
    this.#orders.push(order);
    if (!this.#isBusy) this.#next();
  }

  #next(): void {
    const order = this.#orders[0];
    this.#isBusy = order !== undefined;
    if (order === undefined) {
      this.#closed?.();
      return;
    }
    this.#options.schedule(order.call, () => {
      if (this.#isDead) return;
      this.#orders.shift();
      const fault = this.#faultOf(order.call);
      if (fault === null || fault.isApplied === true) order.carryOut();
      if (fault !== null) this.#failed(order, fault);
      this.#next();
    });
  }

  #faultOf(call: StoreCall): StoreFault | null {
    if (this.#fatal !== null) return { failure: this.#fatal };
    return this.#options.faultOf?.(call) ?? null;
  }

  #failed(order: Order, { failure, isApplied }: StoreFault): void {
    // It was carried out, but what would have told so does not.
    if (isApplied === true && order.call === 'commit') this.#orders.shift();
    if (failure.kind === 'fatal') this.#fatal = failure;
    order.fail(failure);
  }
}
