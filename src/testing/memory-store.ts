/**
 * A store in memory, for test brokers and the simulator: its disk survives crashes, calls in progress do not; any
 * call can fail, and takes as long as the simulator says.
 */
import type {
  Change,
  ChangeResult,
  Found,
  MergeFailure,
  ReadPlace,
  RequestUuid,
  PairStoreEvents,
  StoreFailure,
  Transaction,
} from '../store/store.js';
import type { MapRecord } from '../store/map-record.js';
import type { MapStoreEvents } from '../store/map-store.js';
import type { NodeRecovered, NodeStore, OpenNodeStore } from '../store/node-store.js';
import type { StoreContent } from './memory-rows.js';
import { MemoryTables } from './memory-tables.js';

/** Called after each `commit`: what it reports was on disk before. */
export type StoreCall =
  'open' | 'commit' | 'merge' | 'told' | 'load' | 'lookUp' | 'list' | 'listMap' | 'read';

export interface StoreFault {
  readonly failure: StoreFailure;
  /** The batch is on disk anyway: only a fatal failure leaves that open. */
  readonly isApplied?: boolean;
}

export interface MemoryDiskOptions {
  /** Runs it later, never at once. */
  readonly schedule: (call: StoreCall, run: () => void) => void;
  /** Evaluated when the call is executed. */
  readonly faultOf?: (call: StoreCall) => StoreFault | null;
}

const PIECE_REQUESTS = 100;
const PIECE_RECORDS = 100;

/** The disk under memory stores; one store at a time uses it. */
export class MemoryDisk {
  readonly #options: MemoryDiskOptions;
  readonly #tables = new MemoryTables();
  #open: MemoryStore | null = null;

  constructor(options: MemoryDiskOptions) {
    this.#options = options;
  }

  /** Opens a store on it; one that was not closed is lost as in a crash. */
  readonly openStore: OpenNodeStore = (events, mapEvents) => {
    this.crash();
    return new Promise((resolve, reject) => {
      this.#options.schedule('open', () => {
        const fault = this.#options.faultOf?.('open') ?? null;
        if (fault !== null) {
          reject(new Error(fault.failure.message));
          return;
        }
        resolve(this.openNow(events, mapEvents));
      });
    });
  };

  /** Like `openStore`, but synchronous and without faults. */
  openNow(
    events: PairStoreEvents,
    mapEvents?: MapStoreEvents,
  ): { store: NodeStore; recovered: NodeRecovered } {
    this.crash();
    const store = new MemoryStore(this.#tables, this.#options, events, mapEvents ?? null);
    this.#open = store;
    return { store, recovered: this.#tables.open() };
  }

  /** The process ends: calls in progress do not reach the disk, and no events follow. */
  crash(): void {
    this.#open?.kill();
    this.#open = null;
  }

  content(): StoreContent {
    return this.#tables.content();
  }

  get entries(): StoreContent['requests'] {
    return this.#tables.entries;
  }

  /** The map's records and tombstones, in order of their keys. */
  get mapRecords(): readonly MapRecord[] {
    return this.#tables.map.rows.map(({ record }) => record);
  }

  lookUp(uuid: RequestUuid): Found {
    return this.#tables.lookUp(uuid, Infinity);
  }
}

interface Order {
  readonly call: StoreCall;
  carryOut(): void;
  fail(failure: StoreFailure): void;
}

class MemoryStore implements NodeStore {
  readonly #tables: MemoryTables;
  readonly #options: MemoryDiskOptions;
  readonly #events: PairStoreEvents;
  readonly #mapEvents: MapStoreEvents | null;
  /** The first one is in progress, if it is busy. */
  readonly #orders: Order[] = [];
  #isBusy = false;
  #fatal: StoreFailure | null = null;
  #isDead = false;
  #closed: (() => void) | null = null;

  constructor(
    tables: MemoryTables,
    options: MemoryDiskOptions,
    events: PairStoreEvents,
    mapEvents: MapStoreEvents | null,
  ) {
    this.#tables = tables;
    this.#options = options;
    this.#events = events;
    this.#mapEvents = mapEvents;
  }

  kill(): void {
    this.#isDead = true;
  }

  commit(transaction: Transaction, changes: readonly Change[]): void {
    this.#transact(transaction, () => this.#tables.commit(transaction, changes));
  }

  commitMap(transaction: Transaction, changes: readonly MapRecord[]): void {
    this.#transact(transaction, () => {
      this.#tables.commitMap(transaction, changes);
      return [];
    });
  }

  #transact({ number }: Transaction, commit: () => readonly ChangeResult[]): void {
    this.#order({
      call: 'commit',
      carryOut: () => {
        const results = commit();
        const { counts } = this.#tables;
        const { tombstoneBytes } = this.#tables.map;
        this.#orders.unshift({
          call: 'told',
          carryOut: () => {
            this.#mapEvents?.mapTombstones(tombstoneBytes);
            this.#events.committed(number, results, counts);
          },
          fail: (failure) => this.#events.batchFailed(number, failure),
        });
      },
      fail: (failure) => this.#events.batchFailed(number, failure),
    });
  }

  merge(
    transaction: Transaction,
    records: Buffer,
    isFromActive: boolean,
    mapEpochMax = Infinity,
  ): void {
    const { number } = transaction;
    const fail = (failure: MergeFailure): void => this.#events.mergeFailed(number, failure);
    this.#order({
      call: 'merge',
      carryOut: () => {
        const both = this.#tables.merge(transaction, records, isFromActive, mapEpochMax);
        const { counts } = this.#tables;
        const { tombstoneBytes } = this.#tables.map;
        this.#orders.unshift({
          call: 'told',
          carryOut: () => {
            if (both === null) {
              fail({ kind: 'malformed', message: 'no records' });
              return;
            }
            this.#mapEvents?.mapTombstones(tombstoneBytes);
            const { merged, map } = both;
            if (map.changed.length + map.conflicts.length > 0) this.#mapEvents?.mapMerged(map);
            this.#events.merged(number, merged, counts);
          },
          fail,
        });
      },
      fail,
    });
  }

  read(read: number, place: ReadPlace, requestsMax: number, bytesMax: number): void {
    this.#order({
      call: 'read',
      carryOut: () => this.#events.chunk(read, this.#tables.read(place, requestsMax, bytesMax)),
      fail: (failure) => this.#events.readFailed(read, failure),
    });
  }

  list(list: number, after: number): void {
    this.#order({
      call: 'list',
      carryOut: () => {
        const rest = this.#tables.pending().filter(({ number }) => number > after);
        this.#events.listed(list, rest.slice(0, PIECE_REQUESTS));
      },
      fail: (failure) => this.#events.listFailed(list, failure),
    });
  }

  listMap(list: number, after: string): void {
    this.#order({
      call: 'listMap',
      carryOut: () => this.#mapEvents?.mapListed(list, this.#tables.map.list(after, PIECE_RECORDS)),
      fail: (failure) => this.#mapEvents?.mapListFailed(list, failure),
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

  lookUp(look: number, uuid: RequestUuid, replyBytesMax: number): void {
    this.#order({
      call: 'lookUp',
      carryOut: () => this.#events.found(look, this.#tables.lookUp(uuid, replyBytesMax)),
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
    // It was executed, but the event that reports it is lost.
    if (isApplied === true && ['commit', 'merge'].includes(order.call)) this.#orders.shift();
    if (failure.kind === 'fatal') this.#fatal = failure;
    order.fail(failure);
  }
}
