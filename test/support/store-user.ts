/** Uses a store like the machine: one batch at a time, waiting for its events. */
import { noCounts } from '../../src/store/record-kind.js';
import { assert, present } from '../../src/core/assert.js';
import { MajordomoError } from '../../src/core/errors.js';
import type { NodeStoreEvents } from '../../src/store/node-store.js';
import type {
  Change,
  ChangeResult,
  Chunk,
  Completion,
  Found,
  Merged,
  MergeFailure,
  ReadCursor,
  Recovered,
  RequestUuid,
  PairStore,
  Store,
  StoreCounts,
  StoredContent,
  StoredRequest,
  StoreFailure,
  Transaction,
} from '../../src/store/store.js';

/** The outcome of a batch. */
export type Outcome =
  | { readonly results: readonly ChangeResult[]; readonly counts: StoreCounts }
  | { readonly failure: StoreFailure };

/** Opens a store, which may be one of a pair. */
export type OpenStore = (
  events: NodeStoreEvents,
) => Promise<{ readonly store: Store; readonly recovered: Recovered }>;

function isOfPair(store: Store): store is PairStore {
  return 'merge' in store;
}

export class StoreUser implements NodeStoreEvents {
  /** The content of the store when it was opened. */
  readonly pending: StoredRequest[] = [];
  /** All outcomes in order: `transaction 1`. */
  readonly told: string[] = [];
  recovered: Recovered = {
    counts: {
      ...noCounts(),
      bytes: 0,
      nextNumber: 0,
      owners: [],
      services: [],
    },
    newestAt: 0,
    storeId: Buffer.alloc(0),
    firstTransaction: 0,
    holds: null,
    isNumbered: true,
  };
  /** By owner, and by service. */
  readonly #counts = new Map<string, object>();
  #reported: StoreCounts | null = null;
  #states: object = {};
  #nextTransaction = 0;
  #store: Store | null = null;
  #isInCall = false;
  #last = 0;

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
    user.pending.splice(0, Infinity, ...inPlaces(user.pending));
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
    const results = await this.#call<readonly ChangeResult[], StoreFailure>(
      `transaction ${transaction.number}`,
      (completion) => this.store.commit(transaction, changes, completion),
    );
    if ('kind' in results) return { failure: results };
    return { results, counts: present(this.#reported, 'counts before the outcome') };
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
    return await this.#call<Merged, MergeFailure>(
      `transaction ${transaction.number}`,
      (completion) => this.#ofPair.merge(transaction, records, isFromActive, completion),
    );
  }

  async read(place: ReadCursor, requestsMax = 1000, bytesMax = 2 ** 20): Promise<Chunk> {
    const chunk = await this.#call<Chunk, StoreFailure>(`read ${++this.#last}`, (completion) => {
      this.#ofPair.read(place, requestsMax, bytesMax, completion);
    });
    assert('records' in chunk, `a reading failed: ${JSON.stringify(chunk)}`);
    return chunk;
  }

  async list(after: number): Promise<readonly StoredRequest[] | StoreFailure> {
    return await this.#call(`list ${++this.#last}`, (completion) => {
      this.store.list(after, completion);
    });
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
    return await this.#call(`load ${++this.#last}`, (completion) => {
      this.store.load(uuids, completion);
    });
  }

  async lookUp(uuid: RequestUuid, replyBytesMax = Infinity): Promise<Found | StoreFailure> {
    return await this.#call(`look ${++this.#last}`, (completion) => {
      this.store.lookUp(uuid, replyBytesMax, completion);
    });
  }

  async #call<Result, Failed>(
    name: string,
    call: (completion: Completion<Result, Failed>) => void,
  ): Promise<Result | Failed> {
    return await new Promise<Result | Failed>((resolve) => {
      let isTold = false;
      const told = (outcome: Result | Failed): void => {
        assert(!this.#isInCall, 'a store tells nothing within a call');
        assert(!isTold, `${name} is told once`);
        isTold = true;
        this.told.push(name);
        resolve(outcome);
      };
      this.#isInCall = true;
      call({ done: told, failed: told });
      this.#isInCall = false;
    });
  }

  // ---------------------------------------------------------------- reports of the store

  arrived(): void {
    assert(!this.#isInCall, 'a store tells nothing within a call');
  }

  fatal(): void {
    // The call that failed was told.
  }

  tombstones(): void {
    // Nothing here is of an extension.
  }

  counted(counts: StoreCounts): void {
    this.#reported = counts;
    this.#count(counts);
  }
}

/** What was listed, each once: the limits of a file come first, and again in their places. */
export function inPlaces(listed: readonly StoredRequest[]): StoredRequest[] {
  const places = new Map(listed.map(({ uuid }, at) => [uuid.toString('latin1'), at]));
  return listed.filter(({ uuid }, at) => places.get(uuid.toString('latin1')) === at);
}
