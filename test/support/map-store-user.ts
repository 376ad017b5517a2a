/** Uses a store's map with promises, and checks that it tells each thing once and never in a call. */
import { assert, present } from '../../src/core/assert.js';
import type { MapRecord } from '../../src/store/map-record.js';
import type { MapMerged, MapStoreEvents } from '../../src/store/map-store.js';
import type { NodeRecovered, NodeStore, OpenNodeStore } from '../../src/store/node-store.js';
import type {
  Chunk,
  MergeFailure,
  ReadPlace,
  PairStoreEvents,
  StoreFailure,
  Transaction,
} from '../../src/store/store.js';

type Told = MapMerged | MergeFailure | StoreFailure | Chunk | readonly MapRecord[] | 'committed';

const REQUESTS_MAX = 100;
const NOTHING: MapMerged = { changed: [], conflicts: [] };

export class MapStoreUser implements MapStoreEvents {
  readonly #waiting = new Map<string, (told: Told) => void>();
  #store: NodeStore | null = null;
  #recovered: NodeRecovered | null = null;
  #next = 0;
  #isInCall = false;
  #last = 0;
  /** What was last told of the tombstones. */
  tombstoneBytes = 0;
  /** Told before the merge that it belongs to. */
  #merged: MapMerged | null = null;

  static async open(open: OpenNodeStore): Promise<MapStoreUser> {
    const user = new MapStoreUser();
    const { store, recovered } = await open(user.#events, user);
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
    const told = await this.tryCommit(changes, more);
    assert(told === 'committed', `a commit failed: ${JSON.stringify(told)}`);
  }

  async tryCommit(
    changes: readonly MapRecord[],
    more: Partial<Transaction> = {},
  ): Promise<'committed' | StoreFailure> {
    const transaction = this.#begin(more);
    const told = await this.#call(`transaction ${transaction.number}`, (store) =>
      store.commitMap(transaction, changes),
    );
    return told as 'committed' | StoreFailure;
  }

  async merge(
    chunk: Buffer,
    more: Partial<Transaction> = {},
    mapEpochMax?: number,
  ): Promise<MapMerged | MergeFailure> {
    const transaction = this.#begin(more);
    const told = await this.#call(`transaction ${transaction.number}`, (store) =>
      store.merge(transaction, chunk, false, mapEpochMax),
    );
    return told as MapMerged | MergeFailure;
  }

  async read(place: ReadPlace, bytesMax = 2 ** 20): Promise<Chunk> {
    const read = ++this.#last;
    const told = await this.#call(`read ${read}`, (store) =>
      store.read(read, place, REQUESTS_MAX, bytesMax),
    );
    return told as Chunk;
  }

  /** All records, in the order of their keys. */
  async list(): Promise<MapRecord[]> {
    const all: MapRecord[] = [];
    for (;;) {
      const list = ++this.#last;
      const after = all.at(-1)?.key ?? '';
      const told = await this.#call(`list ${list}`, (store) => store.listMap(list, after));
      const records = told as readonly MapRecord[];
      if (records.length === 0) return all;
      all.push(...records);
    }
  }

  #begin(more: Partial<Transaction>): Transaction {
    return { number: this.#next++, tombstones: 'none', holds: null, peerHolds: 0, ...more };
  }

  async #call(name: string, call: (store: NodeStore) => void): Promise<Told> {
    const store = present(this.#store, 'an open store');
    const told = new Promise<Told>((resolve) => {
      this.#waiting.set(name, resolve);
    });
    this.#isInCall = true;
    call(store);
    this.#isInCall = false;
    return await told;
  }

  #tell(name: string, told: Told): void {
    assert(!this.#isInCall, 'a store tells nothing within a call');
    const resolve = present(this.#waiting.get(name), `${name} is told once`);
    this.#waiting.delete(name);
    resolve(told);
  }

  mapMerged(merged: MapMerged): void {
    assert(this.#merged === null, 'what a merge changed is told once');
    this.#merged = merged;
  }

  mapTombstones(bytes: number): void {
    this.tombstoneBytes = bytes;
  }

  mapListed(list: number, records: readonly MapRecord[]): void {
    this.#tell(`list ${list}`, records);
  }

  mapListFailed(list: number, { message }: StoreFailure): void {
    throw new Error(`list ${list}: ${message}`);
  }

  get #events(): PairStoreEvents {
    const unasked = (): never => {
      throw new Error('nobody asked for requests');
    };
    const told = (number: number, result: Told): void => {
      this.#tell(`transaction ${number}`, result);
    };
    return {
      committed: (number, results) => {
        assert(results.length === 0, 'a batch of the map has no results');
        told(number, 'committed');
      },
      batchFailed: told,
      merged: (number) => {
        const merged = this.#merged ?? NOTHING;
        this.#merged = null;
        told(number, merged);
      },
      mergeFailed: told,
      chunk: (read, chunk) => {
        this.#tell(`read ${read}`, chunk);
      },
      readFailed: (read, { message }) => {
        throw new Error(`read ${read}: ${message}`);
      },
      loaded: unasked,
      loadFailed: unasked,
      found: unasked,
      lookFailed: unasked,
      listed: unasked,
      listFailed: unasked,
    };
  }
}
