/** Uses a part of a store with promises, and checks that it tells each thing once and never in a call. */
import { assert, present } from '../../src/core/assert.js';
import type { Ranked, RankedMerged } from '../../src/store/ranked.js';
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
/** The part of which most scripts are. */
export const PART = 1;

function mergedOf(parts: readonly RankedMerged[]): RankedMerged {
  const nothing = { part: PART, changed: [], ineffective: [], conflicts: [] };
  return parts.find(({ part }) => part === PART) ?? nothing;
}

export class RankedStoreUser {
  #store: NodeStore | null = null;
  #recovered: NodeRecovered | null = null;
  #next = 0;
  #isInCall = false;
  /** What was last told of the tombstones of the part. */
  tombstones = { part: PART, count: 0, keyBytes: 0 };

  static async open(open: OpenNodeStore): Promise<RankedStoreUser> {
    const user = new RankedStoreUser();
    const { store, recovered } = await open({
      tombstones: (sizes) => {
        user.#tellsNow();
        if (sizes.part === PART) user.tombstones = sizes;
      },
      arrived: () => undefined,
      counted: () => undefined,
      fatal: ({ message }) => {
        throw new Error(message);
      },
    });
    user.#store = store;
    user.#recovered = recovered;
    const before = recovered.parts.find(({ part }) => part === PART);
    if (before !== undefined) user.tombstones = before;
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

  async commit(
    changes: readonly Ranked[],
    more: Partial<Transaction> = {},
    part = PART,
  ): Promise<void> {
    const transaction = this.#begin(more);
    await this.#result<unknown>((store, completion) => {
      store.commitRanked(transaction, part, changes, completion);
    });
  }

  async merge(
    chunk: Buffer,
    more: Partial<Transaction> = {},
    epochMax?: number,
  ): Promise<RankedMerged | MergeFailure> {
    const transaction = this.#begin(more);
    const told = await this.#call<NodeMerged, MergeFailure>((store, completion) => {
      store.merge(transaction, chunk, false, completion, epochMax);
    });
    return 'failure' in told ? told.failure : mergedOf(told.result.parts);
  }

  async read(place: ReadCursor, bytesMax = 2 ** 20): Promise<Chunk> {
    return await this.#result<Chunk>((store, completion) => {
      store.read(place, REQUESTS_MAX, bytesMax, completion);
    });
  }

  /** All records, in the order of their keys. */
  async list(part = PART): Promise<Ranked[]> {
    const all: Ranked[] = [];
    for (;;) {
      const after = all.at(-1)?.key ?? '';
      const records = await this.#result<readonly Ranked[]>((store, completion) => {
        store.listRanked(part, after, completion);
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
        done: (result) => told({ result }),
        failed: (failure) => told({ failure }),
      });
      this.#isInCall = false;
    });
  }

  #tellsNow(): void {
    assert(!this.#isInCall, 'a store tells nothing within a call');
  }
}
