/** Uses a store like the machine: one batch at a time, waiting for its events. */
import { assert, present } from '../../src/core/assert.js';
import { MajordomoError } from '../../src/core/errors.js';
import type {
  Change,
  ChangeResult,
  Chunk,
  Found,
  Merged,
  MergeFailure,
  ReadPlace,
  Recovered,
  RequestUuid,
  PairStore,
  Store,
  StoreCounts,
  StoredContent,
  StoredRequest,
  PairStoreEvents,
  StoreFailure,
  Transaction,
} from '../../src/store/store.js';

/** The outcome of a batch. */
export type Outcome =
  | { readonly results: readonly ChangeResult[]; readonly counts: StoreCounts }
  | { readonly failure: StoreFailure };

/** Opens a store, which may be one of a pair. */
export type OpenStore = (
  events: PairStoreEvents,
) => Promise<{ readonly store: Store; readonly recovered: Recovered }>;

function isOfPair(store: Store): store is PairStore {
  return 'merge' in store;
}

export class StoreUser implements PairStoreEvents {
  /** The content of the store when it was opened. */
  readonly pending: StoredRequest[] = [];
  /** All events in order: `committed 1`. */
  readonly told: string[] = [];
  recovered: Recovered = {
    counts: {
      pending: 0,
      replied: 0,
      dead: 0,
      bytes: 0,
      nextNumber: 0,
      owners: [],
      services: [],
    },
    storeId: Buffer.alloc(0),
    firstTransaction: 0,
    holds: null,
    isNumbered: true,
  };
  /** By owner, and by service. */
  readonly #counts = new Map<string, object>();
  #states: object = {};
  #nextTransaction = 0;
  #store: Store | null = null;
  #isInCall = false;
  #last = 0;
  readonly #waiting = new Map<string, (told: never) => void>();

  static async open(open: OpenStore): Promise<StoreUser> {
    const user = new StoreUser();
    const { store, recovered } = await open(user);
    user.#store = store;
    user.recovered = recovered;
    user.#count(recovered.counts);
    user.#nextTransaction = recovered.firstTransaction;
    for (;;) {
      const piece = await user.list(user.pending.at(-1)?.number ?? 0);
      if ('kind' in piece) {
        await store.close();
        throw new MajordomoError('ERR_TITANIC_DISK', piece.message);
      }
      if (piece.length === 0) break;
      user.pending.push(...piece);
    }
    user.told.length = 0;
    return user;
  }

  get store(): Store {
    return present(this.#store, 'an open store');
  }

  get #ofPair(): PairStore {
    const { store } = this;
    assert(isOfPair(store), 'a store that can be one of a pair');
    return store;
  }

  async close(): Promise<void> {
    await this.store.close();
  }

  /** All counts as reported so far: those of a store that is opened again are the same. */
  get reported(): object {
    return { states: this.#states, counts: [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)) };
  }

  #count({ pending, replied, dead, owners, services }: StoreCounts): void {
    this.#states = { pending, replied, dead };
    const count = (name: string, counts: object, isEmpty: boolean): void => {
      if (isEmpty) this.#counts.delete(name);
      else this.#counts.set(name, counts);
    };
    for (const { owner, stored, bytes } of owners) {
      count(`owner ${owner}`, { stored, bytes }, stored === 0);
    }
    for (const { service, ...states } of services) {
      const isEmpty = states.pending + states.replied + states.dead === 0;
      count(`service ${service.toString('latin1')}`, states, isEmpty);
    }
  }

  // ---------------------------------------------------------------- calls

  /** The results of a batch that must succeed. */
  async commit(...changes: readonly Change[]): Promise<readonly ChangeResult[]> {
    const outcome = await this.tryCommit(changes);
    assert('results' in outcome, `a commit failed: ${JSON.stringify(outcome)}`);
    return outcome.results;
  }

  async tryCommit(changes: readonly Change[], more: Partial<Transaction> = {}): Promise<Outcome> {
    const transaction = this.#begin(more);
    return await this.#call<Outcome>(`transaction ${transaction.number}`, () =>
      this.store.commit(transaction, changes),
    );
  }

  /** As a node of a pair. */
  async commitSo(
    more: Partial<Transaction>,
    ...changes: readonly Change[]
  ): Promise<readonly ChangeResult[]> {
    const outcome = await this.tryCommit(changes, more);
    assert('results' in outcome, `a commit failed: ${JSON.stringify(outcome)}`);
    return outcome.results;
  }

  async merge(
    records: Buffer,
    isFromActive: boolean,
    more: Partial<Transaction> = {},
  ): Promise<Merged | MergeFailure> {
    const transaction = this.#begin(more);
    return await this.#call(`transaction ${transaction.number}`, () =>
      this.#ofPair.merge(transaction, records, isFromActive),
    );
  }

  async read(place: ReadPlace, requestsMax = 1000, bytesMax = 2 ** 20): Promise<Chunk> {
    const read = ++this.#last;
    const chunk = await this.#call<Chunk | StoreFailure>(`read ${read}`, () =>
      this.#ofPair.read(read, place, requestsMax, bytesMax),
    );
    assert('records' in chunk, `a reading failed: ${JSON.stringify(chunk)}`);
    return chunk;
  }

  async list(after: number): Promise<readonly StoredRequest[] | StoreFailure> {
    const list = ++this.#last;
    return await this.#call(`list ${list}`, () => this.store.list(list, after));
  }

  /** The number of the last transaction. */
  get transaction(): number {
    return this.#nextTransaction - 1;
  }

  #begin(more: Partial<Transaction>): Transaction {
    const number = this.#nextTransaction++;
    return { number, tombstones: 'none', holds: null, peerHolds: 0, ...more };
  }

  async load(...uuids: readonly RequestUuid[]): Promise<readonly (Buffer | null)[] | StoreFailure> {
    const loaded = await this.loadWhole(...uuids);
    return 'kind' in loaded ? loaded : loaded.map((stored) => stored?.body ?? null);
  }

  /** Like `load`, with headers. */
  async loadWhole(
    ...uuids: readonly RequestUuid[]
  ): Promise<readonly (StoredContent | null)[] | StoreFailure> {
    const load = ++this.#last;
    return await this.#call(`load ${load}`, () => this.store.load(load, uuids));
  }

  async lookUp(uuid: RequestUuid, replyBytesMax = Infinity): Promise<Found | StoreFailure> {
    const look = ++this.#last;
    return await this.#call(`look ${look}`, () => this.store.lookUp(look, uuid, replyBytesMax));
  }

  async #call<Told>(name: string, call: () => void): Promise<Told> {
    const told = new Promise<Told>((resolve) => {
      this.#waiting.set(name, resolve);
    });
    this.#isInCall = true;
    call();
    this.#isInCall = false;
    return await told;
  }

  // ---------------------------------------------------------------- events of the store

  committed(number: number, results: readonly ChangeResult[], counts: StoreCounts): void {
    this.#count(counts);
    this.#tell(`transaction ${number}`, { results, counts });
  }

  batchFailed(number: number, failure: StoreFailure): void {
    this.#tell(`transaction ${number}`, { failure });
  }

  merged(number: number, merged: Merged, counts: StoreCounts): void {
    this.#count(counts);
    this.#tell(`transaction ${number}`, merged);
  }

  mergeFailed(number: number, failure: MergeFailure): void {
    this.#tell(`transaction ${number}`, failure);
  }

  chunk(read: number, chunk: Chunk): void {
    this.#tell(`read ${read}`, chunk);
  }

  readFailed(read: number, failure: StoreFailure): void {
    this.#tell(`read ${read}`, failure);
  }

  listed(list: number, requests: readonly StoredRequest[]): void {
    // Values in events may be views of memory that is reused.
    this.#tell(
      `list ${list}`,
      requests.map((request) => ({ ...request })),
    );
  }

  listFailed(list: number, failure: StoreFailure): void {
    this.#tell(`list ${list}`, failure);
  }

  loaded(load: number, bodies: readonly (StoredContent | null)[]): void {
    this.#tell(`load ${load}`, bodies);
  }

  loadFailed(load: number, failure: StoreFailure): void {
    this.#tell(`load ${load}`, failure);
  }

  found(look: number, found: Found): void {
    this.#tell(`look ${look}`, found);
  }

  lookFailed(look: number, failure: StoreFailure): void {
    this.#tell(`look ${look}`, failure);
  }

  #tell(name: string, what: object): void {
    assert(!this.#isInCall, 'a store tells nothing within a call');
    this.told.push(name);
    const resolve = present(this.#waiting.get(name), `${name} is told once`);
    this.#waiting.delete(name);
    resolve(what as never);
  }
}
