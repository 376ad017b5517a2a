/** Uses a store as the machine does: one batch at a time, and waits for what it tells. */
import { assert, present } from '../../src/core/assert.js';
import type {
  Change,
  ChangeResult,
  Found,
  OpenStore,
  Recovered,
  RequestUuid,
  Store,
  StoreCounts,
  StoredRequest,
  StoreEvents,
  StoreFailure,
} from '../../src/titanic/store.js';

/** What became of a batch. */
export type Outcome =
  | { readonly results: readonly ChangeResult[]; readonly counts: StoreCounts }
  | { readonly failure: StoreFailure };

export class StoreUser implements StoreEvents {
  /** What the store had when it was opened. */
  readonly pending: StoredRequest[] = [];
  /** Everything told, in order: `committed 1`. */
  readonly told: string[] = [];
  recovered: Recovered = {
    counts: { pending: 0, replied: 0, dead: 0, bytes: 0 },
    nextNumber: 0,
  };
  #store: Store | null = null;
  #isInCall = false;
  #last = 0;
  readonly #waiting = new Map<string, (told: never) => void>();

  static async open(open: OpenStore): Promise<StoreUser> {
    const user = new StoreUser();
    const { store, recovered } = await open(user, (requests) => {
      // What is told may be views of memory that is reused.
      user.pending.push(...requests.map((request) => ({ ...request })));
    });
    user.#store = store;
    user.recovered = recovered;
    return user;
  }

  get store(): Store {
    return present(this.#store, 'an open store');
  }

  async close(): Promise<void> {
    await this.store.close();
  }

  // ---------------------------------------------------------------- calls

  /** The results of a batch that has to succeed. */
  async commit(...changes: readonly Change[]): Promise<readonly ChangeResult[]> {
    const outcome = await this.tryCommit(changes);
    assert('results' in outcome, `a commit failed: ${JSON.stringify(outcome)}`);
    return outcome.results;
  }

  async tryCommit(changes: readonly Change[]): Promise<Outcome> {
    const batch = ++this.#last;
    return await this.#call<Outcome>(`batch ${batch}`, () => this.store.commit(batch, changes));
  }

  async load(...uuids: readonly RequestUuid[]): Promise<readonly (Buffer | null)[] | StoreFailure> {
    const load = ++this.#last;
    return await this.#call(`load ${load}`, () => this.store.load(load, uuids));
  }

  async lookUp(uuid: RequestUuid): Promise<Found | StoreFailure> {
    const look = ++this.#last;
    return await this.#call(`look ${look}`, () => this.store.lookUp(look, uuid));
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

  // ---------------------------------------------------------------- what the store tells

  committed(batch: number, results: readonly ChangeResult[], counts: StoreCounts): void {
    this.#tell(`batch ${batch}`, { results, counts });
  }

  batchFailed(batch: number, failure: StoreFailure): void {
    this.#tell(`batch ${batch}`, { failure });
  }

  loaded(load: number, bodies: readonly (Buffer | null)[]): void {
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

  #tell(name: string, what: Outcome | readonly (Buffer | null)[] | Found | StoreFailure): void {
    assert(!this.#isInCall, 'a store tells nothing within a call');
    this.told.push(name);
    const resolve = present(this.#waiting.get(name), `${name} is told once`);
    this.#waiting.delete(name);
    resolve(what as never);
  }
}
