/**
 * A store in memory, for test brokers and the simulator: its tables survive crashes, calls in progress do not; any
 * call can fail, and takes as long as the simulator says.
 */
import type {
  Change,
  ChangeResult,
  Completion,
  Found,
  RequestUuid,
  Store,
  StoredContent,
  StoredRequest,
  StoreEvents,
  StoreFailure,
  Transaction,
} from '../store/store.js';
import type { MemoryTables } from './memory-tables.js';

/** `reported`: the outcome of a commit or a merge is reported, which was on disk before. */
export type StoreCall =
  'open' | 'commit' | 'merge' | 'reported' | 'load' | 'lookUp' | 'list' | 'listRanked' | 'read';

export interface StoreFault {
  readonly failure: StoreFailure;
  /** The batch is on disk anyway: only a fatal failure leaves that open. */
  readonly isApplied?: boolean;
}

export interface MemoryStoreOptions {
  /** Runs it later, never at once. */
  readonly schedule: (call: StoreCall, run: () => void) => void;
  /** Evaluated when the call is executed. */
  readonly faultOf?: (call: StoreCall) => StoreFault | null;
}

const PIECE_REQUESTS = 100;

interface Order {
  readonly call: StoreCall;
  carryOut(): void;
  failed(failure: StoreFailure): void;
}

export class MemoryStore<Tables extends MemoryTables = MemoryTables> implements Store {
  protected readonly tables: Tables;
  readonly #options: MemoryStoreOptions;
  readonly #events: StoreEvents;
  /** The first one is in progress, if it is busy. */
  readonly #orders: Order[] = [];
  #isBusy = false;
  #fatal: StoreFailure | null = null;
  #isDead = false;
  #closed: (() => void) | null = null;

  constructor(tables: Tables, options: MemoryStoreOptions, events: StoreEvents) {
    this.tables = tables;
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
    this.write('commit', () => this.tables.commit(transaction, changes), completion);
  }

  /** What it reports was on disk before. */
  protected write<Result>(
    call: 'commit' | 'merge',
    carryOut: () => Result,
    completion: Completion<Result>,
  ): void {
    const failed = (failure: StoreFailure): void => completion.failed(failure);
    this.#order({
      call,
      carryOut: () => {
        const result = carryOut();
        const { counts } = this.tables;
        const report = this.reporting();
        this.#orders.unshift({
          call: 'reported',
          carryOut: () => {
            report();
            this.#events.counted(counts);
            completion.done(result);
          },
          failed,
        });
      },
      failed,
    });
  }

  /** Takes what is to be reported of this transaction, apart from its result and the counts. */
  protected reporting(): () => void {
    return () => undefined;
  }

  list(after: number, completion: Completion<readonly StoredRequest[]>): void {
    const list = (): readonly StoredRequest[] => this.tables.list(after, PIECE_REQUESTS);
    this.ask('list', list, completion);
  }

  load(
    uuids: readonly RequestUuid[],
    completion: Completion<readonly (StoredContent | null)[]>,
  ): void {
    this.ask('load', () => uuids.map((uuid) => this.tables.body(uuid)), completion);
  }

  lookUp(uuid: RequestUuid, replyBytesMax: number, completion: Completion<Found>): void {
    this.ask('lookUp', () => this.tables.lookUp(uuid, replyBytesMax), completion);
  }

  protected ask<Result>(call: StoreCall, read: () => Result, completion: Completion<Result>): void {
    this.#order({
      call,
      carryOut: () => completion.done(read()),
      failed: (failure) => completion.failed(failure),
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
    // The order was executed, but the event that reports it is lost.
    if (isApplied === true && ['commit', 'merge'].includes(order.call)) this.#orders.shift();
    if (failure.kind === 'fatal') this.#fatal = failure;
    order.failed(failure);
    if (failure.kind === 'fatal') this.#events.fatal(failure);
  }
}
