/** Uses a store's map with promises, and checks that it tells each thing once and never in a call. */
import { assert, present } from '../../src/core/assert.js';
import type { MapRecord } from '../../src/store/map-record.js';
import type { MapMerged } from '../../src/store/map-store.js';
import type {
  NodeMerged,
  NodeRecovered,
  NodeStore,
  OpenNodeStore,
} from '../../src/store/node-store.js';
import type {
  Chunk,
  Completion,
  MergeFailure,
  ReadCursor,
  Transaction,
} from '../../src/store/store.js';

/** What became of a call. */
type Outcome<Result, Failed> = { readonly result: Result } | { readonly failure: Failed };

const REQUESTS_MAX = 100;

export class MapStoreUser {
  #store: NodeStore | null = null;
  #recovered: NodeRecovered | null = null;
  #next = 0;
  #isInCall = false;
  /** What was last told of the tombstones. */
  tombstoneBytes = 0;

  static async open(open: OpenNodeStore): Promise<MapStoreUser> {
    const user = new MapStoreUser();
    const { store, recovered } = await open({
      mapTombstones: (bytes) => {
        user.#tellsNow();
        user.tombstoneBytes = bytes;
      },
      arrived: () => undefined,
      counted: () => undefined,
      fatal: ({ message }) => {
        throw new Error(message);
      },
    });
    user.#store = store;
    user.#recovered = recovered;
    user.tombstoneBytes = recovered.mapTombstoneBytes;
    user.#next = recovered.firstTransaction;
    return user;
  }

  get recovered(): NodeRecovered {
    return present(this.#recovered, 'an open store');
  }

  /** The number of the last transaction. */
  get transaction(): number {
    return this.#next - 1;
  }

  async close(): Promise<void> {
    await present(this.#store, 'an open store').close();
  }

  async commit(changes: readonly MapRecord[], more: Partial<Transaction> = {}): Promise<void> {
    const transaction = this.#begin(more);
    await this.#result<unknown>((store, completion) => {
      store.commitMap(transaction, changes, completion);
    });
  }

  async merge(
    chunk: Buffer,
    more: Partial<Transaction> = {},
    mapEpochMax?: number,
  ): Promise<MapMerged | MergeFailure> {
    const transaction = this.#begin(more);
    const told = await this.#call<NodeMerged, MergeFailure>((store, completion) => {
      store.merge(transaction, chunk, false, completion, mapEpochMax);
    });
    return 'failure' in told ? told.failure : told.result.map;
  }

  async read(place: ReadCursor, bytesMax = 2 ** 20): Promise<Chunk> {
    return await this.#result<Chunk>((store, completion) => {
      store.read(place, REQUESTS_MAX, bytesMax, completion);
    });
  }

  /** All records, in the order of their keys. */
  async list(): Promise<MapRecord[]> {
    const all: MapRecord[] = [];
    for (;;) {
      const after = all.at(-1)?.key ?? '';
      const records = await this.#result<readonly MapRecord[]>((store, completion) => {
        store.listMap(after, completion);
      });
      if (records.length === 0) return all;
      all.push(...records);
    }
  }

  #begin(more: Partial<Transaction>): Transaction {
    return { number: this.#next++, tombstones: 'none', holds: null, peerHolds: 0, ...more };
  }

  async #result<Result>(
    call: (store: NodeStore, completion: Completion<Result>) => void,
  ): Promise<Result> {
    const outcome = await this.#call(call);
    if ('failure' in outcome) throw new Error(outcome.failure.message);
    return outcome.result;
  }

  async #call<Result, Failed>(
    call: (store: NodeStore, completion: Completion<Result, Failed>) => void,
  ): Promise<Outcome<Result, Failed>> {
    const store = present(this.#store, 'an open store');
    return await new Promise((resolve) => {
      let isTold = false;
      const told = (outcome: Outcome<Result, Failed>): void => {
        this.#tellsNow();
        assert(!isTold, 'the outcome of a call is told once');
        isTold = true;
        resolve(outcome);
      };
      this.#isInCall = true;
      call(store, {
        done: (result) => {
          told({ result });
        },
        failed: (failure) => {
          told({ failure });
        },
      });
      this.#isInCall = false;
    });
  }

  #tellsNow(): void {
    assert(!this.#isInCall, 'a store tells nothing within a call');
  }
}
