/** The disk of a node in memory, for the simulator and others, and the store of a node of a pair on it. */
import type {
  NodeMerged,
  NodeRecovered,
  NodeStore,
  NodeStoreEvents,
  OpenNodeStore,
} from '../../src/store/node-store.js';
import type { Ranked } from '../../src/store/ranked.js';
import type {
  Chunk,
  Completion,
  Found,
  MergeFailure,
  ReadCursor,
  RequestUuid,
  Transaction,
} from '../../src/store/store.js';
import { MemoryStore, type MemoryStoreOptions } from '../../src/testing/memory-store.js';
import { MemoryNodeTables, type StoreContent } from './memory-node-tables.js';

const PIECE_RECORDS = 100;

/** The disk under memory stores; one store at a time uses it. */
export class MemoryDisk {
  readonly #options: MemoryStoreOptions;
  readonly #tables = new MemoryNodeTables();
  #open: MemoryNodeStore | null = null;

  constructor(options: MemoryStoreOptions) {
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
    const store = new MemoryNodeStore(this.#tables, this.#options, events);
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

class MemoryNodeStore extends MemoryStore<MemoryNodeTables> implements NodeStore {
  readonly #nodeEvents: NodeStoreEvents;

  constructor(tables: MemoryNodeTables, options: MemoryStoreOptions, events: NodeStoreEvents) {
    super(tables, options, events);
    this.#nodeEvents = events;
  }

  protected override reporting(): () => void {
    const sizes = this.tables.ranked.parts;
    return () => {
      for (const each of sizes) this.#nodeEvents.tombstones(each);
    };
  }

  commitRanked(
    transaction: Transaction,
    part: number,
    changes: readonly Ranked[],
    completion: Completion<unknown>,
  ): void {
    const commit = (): void => this.tables.commitRanked(transaction, part, changes);
    this.write('commit', commit, completion);
  }

  merge(
    transaction: Transaction,
    records: Buffer,
    isFromActive: boolean,
    completion: Completion<NodeMerged, MergeFailure>,
    epochMax = Infinity,
  ): void {
    const failed = (failure: MergeFailure): void => completion.failed(failure);
    const done = (both: ReturnType<MemoryNodeTables['merge']>): void => {
      if (both === null) completion.failed({ kind: 'malformed', message: 'no records' });
      else completion.done({ ...both.merged, parts: both.parts });
    };
    const merge = (): ReturnType<MemoryNodeTables['merge']> =>
      this.tables.merge(transaction, records, isFromActive, epochMax);
    this.write('merge', merge, { done, failed });
  }

  read(
    place: ReadCursor,
    requestsMax: number,
    bytesMax: number,
    completion: Completion<Chunk>,
  ): void {
    this.ask('read', () => this.tables.read(place, requestsMax, bytesMax), completion);
  }

  listRanked(part: number, after: string, completion: Completion<readonly Ranked[]>): void {
    const list = (): Ranked[] => this.tables.ranked.list(part, after, PIECE_RECORDS);
    this.ask('listRanked', list, completion);
  }
}
