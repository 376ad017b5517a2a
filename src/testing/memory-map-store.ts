/**
 * A store of the map in memory, for tests and the simulator: its disk survives crashes, calls in
 * progress do not; any call can fail, and takes as long as the simulator says.
 */
import type { MapRecord } from '../map/record.js';
import type {
  MapReadPlace,
  MapRecovered,
  MapStore,
  MapStoreEvents,
  OpenMapStore,
} from '../map/store.js';
import type { MergeFailure, StoreFailure, Transaction } from '../titanic/store/store.js';
import { MemoryMapTables } from './memory-map-tables.js';

/** `told`: the report of a commit or a merge, which is on disk before. */
export type MapStoreCall = 'commit' | 'merge' | 'told' | 'list' | 'read';

export interface MemoryMapDiskOptions {
  /** Runs it later, never at once, and one call after the other. */
  readonly schedule: (call: MapStoreCall, run: () => void) => void;
  /** Evaluated when the call is executed. */
  readonly faultOf?: (call: MapStoreCall) => StoreFailure | null;
}

const PIECE_RECORDS = 100;

/** The disk under memory stores; one store at a time uses it. */
export class MemoryMapDisk {
  readonly #options: MemoryMapDiskOptions;
  readonly #tables = new MemoryMapTables();
  #open: MemoryMapStore | null = null;

  constructor(options: MemoryMapDiskOptions) {
    this.#options = options;
  }

  readonly openStore: OpenMapStore = (events) => Promise.resolve(this.openNow(events));

  /** Opens a store on it; one that was not closed is lost as in a crash. */
  openNow(events: MapStoreEvents): { store: MapStore; recovered: MapRecovered } {
    this.crash();
    const store = new MemoryMapStore(this.#tables, this.#options, events);
    this.#open = store;
    return { store, recovered: this.#tables.open() };
  }

  /** The process ends: calls in progress do not reach the disk, and no events follow. */
  crash(): void {
    this.#open?.kill();
    this.#open = null;
  }

  /** Records and tombstones, in order of their keys. */
  get records(): readonly MapRecord[] {
    return this.#tables.rows.map(({ record }) => record);
  }
}

interface Order {
  readonly call: MapStoreCall;
  carryOut(): void;
  fail(failure: StoreFailure): void;
}

class MemoryMapStore implements MapStore {
  readonly #tables: MemoryMapTables;
  readonly #options: MemoryMapDiskOptions;
  readonly #events: MapStoreEvents;
  readonly #orders: Order[] = [];
  #isBusy = false;
  #isDead = false;
  #closed: (() => void) | null = null;

  constructor(tables: MemoryMapTables, options: MemoryMapDiskOptions, events: MapStoreEvents) {
    this.#tables = tables;
    this.#options = options;
    this.#events = events;
  }

  kill(): void {
    this.#isDead = true;
  }

  commit(transaction: Transaction, changes: readonly MapRecord[]): void {
    const { number } = transaction;
    const fail = (failure: StoreFailure): void => this.#events.batchFailed(number, failure);
    const carryOut = (): void => {
      this.#tables.commit(transaction, changes);
      this.#tellNext(() => this.#events.committed(number), fail);
    };
    this.#order({ call: 'commit', carryOut, fail });
  }

  merge(transaction: Transaction, records: Buffer): void {
    const { number } = transaction;
    const fail = (failure: MergeFailure): void => this.#events.mergeFailed(number, failure);
    const carryOut = (): void => {
      const merged = this.#tables.merge(transaction, records);
      this.#tellNext(() => {
        if (merged === null) fail({ kind: 'malformed', message: 'no records' });
        else this.#events.merged(number, merged);
      }, fail);
    };
    this.#order({ call: 'merge', carryOut, fail });
  }

  list(list: number, after: string): void {
    this.#order({
      call: 'list',
      carryOut: () => this.#events.listed(list, this.#tables.list(after, PIECE_RECORDS)),
      fail: (failure) => this.#events.listFailed(list, failure),
    });
  }

  read(read: number, place: MapReadPlace, recordsMax: number, bytesMax: number): void {
    this.#order({
      call: 'read',
      carryOut: () => this.#events.chunk(read, this.#tables.read(place, recordsMax, bytesMax)),
      fail: (failure) => this.#events.readFailed(read, failure),
    });
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#closed = resolve;
      if (!this.#isBusy) resolve();
    });
    this.#isDead = true;
  }

  #tellNext(carryOut: () => void, fail: (failure: StoreFailure) => void): void {
    this.#orders.unshift({ call: 'told', carryOut, fail });
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
      const failure = this.#options.faultOf?.(order.call) ?? null;
      if (failure === null) order.carryOut();
      else order.fail(failure);
      this.#next();
    });
  }
}
