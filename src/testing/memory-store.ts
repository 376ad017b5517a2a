/**
 * A store in memory, for test brokers and the simulator: its disk survives crashes, calls in progress do not; any
 * call can fail, and takes as long as the simulator says.
 */
import type {
  Change,
  ChangeResult,
  Chunk,
  Completion,
  Found,
  MergeFailure,
  ReadCursor,
  RequestUuid,
  StoredContent,
  StoredRequest,
  StoreFailure,
  Transaction,
} from '../store/store.js';
import type {
  NodeMerged,
  NodeRecovered,
  NodeStore,
  NodeStoreEvents,
  OpenNodeStore,
} from '../store/node-store.js';
import type { Ranked } from '../store/ranked.js';
import type { StoreContent } from './memory-rows.js';
import { MemoryTables } from './memory-tables.js';

/** `reported`: the outcome of a commit or a merge is reported, which was on disk before. */
export type StoreCall =
  'open' | 'commit' | 'merge' | 'reported' | 'load' | 'lookUp' | 'list' | 'listRanked' | 'read';

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
  readonly openStore: OpenNodeStore = (events) => {
    this.crash();
    return new Promise((resolve, reject) => {
      this.#options.schedule('open', () => {
        const fault = this.#options.faultOf?.('open') ?? null;
        if (fault !== null) {
          reject(new Error(fault.failure.message));
          return;
        }
        resolve(this.openNow(events));
      });
    });
  };

  /** Like `openStore`, but synchronous and without faults. */
  openNow(events: NodeStoreEvents): { store: NodeStore; recovered: NodeRecovered } {
    this.crash();
    const store = new MemoryStore(this.#tables, this.#options, events);
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

  /** The records and tombstones of a part, in order of their keys. */
  ranked(part: number): readonly Ranked[] {
    return this.#tables.ranked.of(part);
  }

  lookUp(uuid: RequestUuid): Found {
    return this.#tables.lookUp(uuid, Infinity);
  }
}

interface Order {
  readonly call: StoreCall;
  carryOut(): void;
  failed(failure: StoreFailure): void;
}

class MemoryStore implements NodeStore {
  readonly #tables: MemoryTables;
  readonly #options: MemoryDiskOptions;
  readonly #events: NodeStoreEvents;
  /** The first one is in progress, if it is busy. */
  readonly #orders: Order[] = [];
  #isBusy = false;
  #fatal: StoreFailure | null = null;
  #isDead = false;
  #closed: (() => void) | null = null;

  constructor(tables: MemoryTables, options: MemoryDiskOptions, events: NodeStoreEvents) {
    this.#tables = tables;
    this.#options = options;
    this.#events = events;
  }

  kill(): void {
    this.#isDead = true;
  }

  commit(
    transaction: Transaction,
    changes: readonly Change[],
    completion: Completion<readonly ChangeResult[]>,
  ): void {
    this.#write('commit', () => this.#tables.commit(transaction, changes), completion);
  }

  commitRanked(
    transaction: Transaction,
    part: number,
    changes: readonly Ranked[],
    completion: Completion<unknown>,
  ): void {
    const commit = (): void => {
      this.#tables.commitRanked(transaction, part, changes);
    };
    this.#write('commit', commit, completion);
  }

  merge(
    transaction: Transaction,
    records: Buffer,
    isFromActive: boolean,
    completion: Completion<NodeMerged, MergeFailure>,
    epochMax = Infinity,
  ): void {
    const failed = (failure: MergeFailure): void => {
      completion.failed(failure);
    };
    const done = (both: ReturnType<MemoryTables['merge']>): void => {
      if (both === null) completion.failed({ kind: 'malformed', message: 'no records' });
      else completion.done({ ...both.merged, parts: both.parts });
    };
    const merge = (): ReturnType<MemoryTables['merge']> =>
      this.#tables.merge(transaction, records, isFromActive, epochMax);
    this.#write('merge', merge, { done, failed });
  }

  /** What it reports was on disk before. */
  #write<Result>(
    call: 'commit' | 'merge',
    carryOut: () => Result,
    completion: Completion<Result>,
  ): void {
    const failed = (failure: StoreFailure): void => {
      completion.failed(failure);
    };
    this.#order({
      call,
      carryOut: () => {
        const result = carryOut();
        const { counts } = this.#tables;
        const sizes = this.#tables.ranked.parts;
        this.#orders.unshift({
          call: 'reported',
          carryOut: () => {
            for (const each of sizes) this.#events.tombstones(each);
            this.#events.counted(counts);
            completion.done(result);
          },
          failed,
        });
      },
      failed,
    });
  }

  read(
    place: ReadCursor,
    requestsMax: number,
    bytesMax: number,
    completion: Completion<Chunk>,
  ): void {
    this.#read('read', () => this.#tables.read(place, requestsMax, bytesMax), completion);
  }

  list(after: number, completion: Completion<readonly StoredRequest[]>): void {
    const list = (): readonly StoredRequest[] =>
      this.#tables
        .pending()
        .filter(({ number }) => number > after)
        .slice(0, PIECE_REQUESTS);
    this.#read('list', list, completion);
  }

  listRanked(part: number, after: string, completion: Completion<readonly Ranked[]>): void {
    const list = (): Ranked[] => this.#tables.ranked.list(part, after, PIECE_RECORDS);
    this.#read('listRanked', list, completion);
  }

  load(
    uuids: readonly RequestUuid[],
    completion: Completion<readonly (StoredContent | null)[]>,
  ): void {
    this.#read('load', () => uuids.map((uuid) => this.#tables.body(uuid)), completion);
  }

  lookUp(uuid: RequestUuid, replyBytesMax: number, completion: Completion<Found>): void {
    this.#read('lookUp', () => this.#tables.lookUp(uuid, replyBytesMax), completion);
  }

  #read<Result>(call: StoreCall, read: () => Result, completion: Completion<Result>): void {
    this.#order({
      call,
      carryOut: () => {
        completion.done(read());
      },
      failed: (failure) => {
        completion.failed(failure);
      },
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
      this.#events.arrived();
      const fault = this.#faultOf(order.call);
      const isWrite = order.call === 'commit' || order.call === 'merge';
      if (fault === null || (fault.isApplied === true && isWrite)) order.carryOut();
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
    order.failed(failure);
    if (failure.kind === 'fatal') this.#events.fatal(failure);
  }
}
