/** A store as its broker uses it: through the port, in a thread of its own. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';

import { placeOf } from '../../src/core/postgres-url.js';
import { openPostgresStore } from '../../src/extensions/postgres/postgres-store.js';
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.js';
import type {
  Change,
  ChangeResult,
  ClaimedRequest,
  ClaimStore,
  Hint,
  Recovered,
  RequestUuid,
  Store,
  StoredContent,
  StoreFailure,
} from '../../src/store/store.js';

interface Settle<Result> {
  done(result: Result): void;
  failed(error: Error): void;
}

function ignored(): void {}

/** Orders that wait for their answers, by number. */
class Waiting<Result> {
  readonly #settles = new Map<number, Settle<Result>>();

  async wait(number: number, order: () => void): Promise<Result> {
    return await new Promise<Result>((done, failed) => {
      this.#settles.set(number, { done, failed });
      order();
    });
  }

  readonly done = (number: number, result: Result): void => {
    this.#take(number)?.done(result);
  };

  readonly failed = (number: number, { message }: StoreFailure): void => {
    this.#take(number)?.failed(new Error(message));
  };

  #take(number: number): Settle<Result> | undefined {
    const settle = this.#settles.get(number);
    this.#settles.delete(number);
    return settle;
  }
}

export class StoreDriver {
  /** Told of the hints of other brokers. */
  heard: (hint: Hint) => void = ignored;
  #store: Store | null = null;
  #transaction = 0;
  #number = 0;
  readonly #commits = new Waiting<readonly ChangeResult[]>();
  readonly #loads = new Waiting<readonly (StoredContent | null)[]>();
  readonly #claims = new Waiting<readonly ClaimedRequest[]>();
  readonly #events = {
    ...{ committed: this.#commits.done, batchFailed: this.#commits.failed },
    ...{ loaded: this.#loads.done, loadFailed: this.#loads.failed },
    ...{ claimed: this.#claims.done, claimFailed: this.#claims.failed },
    ...{ listed: ignored, listFailed: ignored, found: ignored, lookFailed: ignored },
    ...{ merged: ignored, mergeFailed: ignored, chunk: ignored, readFailed: ignored },
    ...{ kept: ignored, taken: ignored, counted: ignored },
    hinted: (hint: Hint): void => {
      this.heard(hint);
    },
  };

  /** A new store file in this directory. */
  static async ofFile(directory: string): Promise<StoreDriver> {
    // A directory belongs to one store.
    return await StoreDriver.at(join(mkdtempSync(join(directory, 'store-')), 'titanic.db'));
  }

  /** @param path of a store file; it is made if it is absent */
  static async at(path: string): Promise<StoreDriver> {
    const open = openSqliteStore(path, { isNewStore: false, isPaired: false, news: ignored });
    const driver = new StoreDriver();
    driver.#begin(await open(driver.#events));
    return driver;
  }

  /** @param url of a database */
  static async ofDatabase(url: string): Promise<StoreDriver> {
    const place = placeOf(url);
    if (typeof place === 'string') throw new Error(place);
    const home = randomBytes(16).toString('hex');
    const order = {
      login: { place, passwordFile: null, isLoopback: true },
      ...{ name: url, timeoutMs: 10_000, leaseMs: 10_000, node: 'bench', home, storeId: null },
      hints: true,
    };
    const driver = new StoreDriver();
    driver.#begin(await openPostgresStore(order, driver.#events, ignored));
    return driver;
  }

  #begin(opened: { readonly store: Store; readonly recovered: Recovered }): void {
    this.#store = opened.store;
    this.#transaction = opened.recovered.firstTransaction;
  }

  /** Resolves when the batch is durable. */
  async commit(changes: readonly Change[]): Promise<void> {
    const number = this.#transaction++;
    const transaction = { number, tombstones: 'none', holds: null, peerHolds: 0 } as const;
    await this.#commits.wait(number, () => this.#store?.commit(transaction, changes));
  }

  async load(uuids: readonly RequestUuid[]): Promise<void> {
    const number = ++this.#number;
    await this.#loads.wait(number, () => this.#store?.load(number, uuids));
  }

  async claim(service: Buffer, most: number): Promise<readonly ClaimedRequest[]> {
    const number = ++this.#number;
    const order = { wanted: [{ service, most }], released: [], known: null };
    return await this.#claims.wait(number, () => {
      this.#shared.claim(number, order);
    });
  }

  hint(hint: Hint): void {
    this.#shared.hint(hint);
  }

  /** A database. */
  get #shared(): ClaimStore {
    return this.#store as ClaimStore;
  }

  async close(): Promise<void> {
    await this.#store?.close();
  }
}
