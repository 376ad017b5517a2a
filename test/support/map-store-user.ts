/** Uses a map's store with promises, and checks that it tells each thing once and never in a call. */
import { assert, present } from '../../src/core/assert.js';
import type { MapRecord } from '../../src/map/record.js';
import type {
  MapChunk,
  MapMerged,
  MapReadPlace,
  MapRecovered,
  MapStore,
  MapStoreEvents,
  OpenMapStore,
} from '../../src/map/store.js';
import type { MergeFailure, StoreFailure, Transaction } from '../../src/titanic/store/store.js';

type Told = MapMerged | MergeFailure | MapChunk | readonly MapRecord[] | 'committed';

export class MapStoreUser implements MapStoreEvents {
  readonly #waiting = new Map<string, (told: Told) => void>();
  #store: MapStore | null = null;
  #recovered: MapRecovered | null = null;
  #next = 0;
  #isInCall = false;
  #last = 0;

  static async open(open: OpenMapStore): Promise<MapStoreUser> {
    const user = new MapStoreUser();
    const { store, recovered } = await open(user);
    user.#store = store;
    user.#recovered = recovered;
    user.#next = recovered.firstTransaction;
    return user;
  }

  get recovered(): MapRecovered {
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
    const told = await this.#call(`transaction ${transaction.number}`, (store) =>
      store.commit(transaction, changes),
    );
    assert(told === 'committed', `a commit failed: ${JSON.stringify(told)}`);
  }

  async merge(records: Buffer, more: Partial<Transaction> = {}): Promise<MapMerged | MergeFailure> {
    const transaction = this.#begin(more);
    const told = await this.#call(`transaction ${transaction.number}`, (store) =>
      store.merge(transaction, records),
    );
    return told as MapMerged | MergeFailure;
  }

  async read(place: MapReadPlace, recordsMax = 1000, bytesMax = 2 ** 20): Promise<MapChunk> {
    const read = ++this.#last;
    const told = await this.#call(`read ${read}`, (store) =>
      store.read(read, place, recordsMax, bytesMax),
    );
    return told as MapChunk;
  }

  /** All records, in the order of their keys. */
  async list(): Promise<MapRecord[]> {
    const all: MapRecord[] = [];
    for (;;) {
      const list = ++this.#last;
      const after = all.at(-1)?.key ?? '';
      const told = await this.#call(`list ${list}`, (store) => store.list(list, after));
      const records = told as readonly MapRecord[];
      if (records.length === 0) return all;
      all.push(...records);
    }
  }

  #begin(more: Partial<Transaction>): Transaction {
    return { number: this.#next++, tombstones: 'none', holds: null, peerHolds: 0, ...more };
  }

  async #call(name: string, call: (store: MapStore) => void): Promise<Told> {
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

  committed(number: number): void {
    this.#tell(`transaction ${number}`, 'committed');
  }

  batchFailed(number: number, failure: StoreFailure): void {
    this.#tell(`transaction ${number}`, failure);
  }

  merged(number: number, merged: MapMerged): void {
    this.#tell(`transaction ${number}`, merged);
  }

  mergeFailed(number: number, failure: MergeFailure): void {
    this.#tell(`transaction ${number}`, failure);
  }

  listed(list: number, records: readonly MapRecord[]): void {
    this.#tell(`list ${list}`, records);
  }

  listFailed(list: number, { message }: StoreFailure): void {
    throw new Error(`list ${list}: ${message}`);
  }

  chunk(read: number, chunk: MapChunk): void {
    this.#tell(`read ${read}`, chunk);
  }

  readFailed(read: number, { message }: StoreFailure): void {
    throw new Error(`read ${read}: ${message}`);
  }
}
