/** A store as its broker uses it: through the port, in a thread of its own. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';

import { databaseAddressOf } from '../../src/core/postgres-url.js';
import { openPostgresStore } from '../../src/extensions/postgres/postgres-store.js';
import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.js';
import {
  type Change,
  type ChangeResult,
  type ClaimedRequest,
  type ClaimStore,
  type Completion,
  type Hint,
  NO_TURNS,
  type Recovered,
  type RequestUuid,
  type Store,
  type StoredContent,
  type StoreFailure,
} from '../../src/store/store.js';

function ignored(): void {}

async function outcomeOf<Result>(call: (completion: Completion<Result>) => void): Promise<Result> {
  return await new Promise<Result>((done, reject) => {
    const failed = ({ message }: StoreFailure): void => reject(new Error(message));
    call({ done, failed });
  });
}

export class StoreDriver {
  /** Told of the hints of other brokers. */
  heard: (hint: Hint) => void = ignored;
  #store: Store | null = null;
  #transaction = 0;
  readonly #events = {
    ...{ arrived: ignored, fatal: ignored, counted: ignored, tombstones: ignored },
    ...{ foundClaimed: ignored, taken: ignored },
    hinted: (hint: Hint): void => this.heard(hint),
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
    const address = databaseAddressOf(url);
    if (typeof address === 'string') throw new Error(address);
    const directoryId = randomBytes(16).toString('hex');
    const order = {
      login: { address, passwordFile: null, isLoopback: true },
      ...{
        name: url,
        timeoutMs: 10_000,
        leaseMs: 10_000,
        node: 'bench',
        directoryId,
        storeId: null,
      },
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
    await outcomeOf<readonly ChangeResult[]>((completion) =>
      this.#store?.commit(transaction, changes, completion),
    );
  }

  async load(uuids: readonly RequestUuid[]): Promise<void> {
    await outcomeOf<readonly (StoredContent | null)[]>((completion) =>
      this.#store?.load(uuids, completion),
    );
  }

  async claim(service: Buffer, most: number): Promise<readonly ClaimedRequest[]> {
    const wanted = [{ service, isSchedules: false, most, turns: NO_TURNS }];
    const order = { wanted, released: [], known: null };
    return await outcomeOf<readonly ClaimedRequest[]>((completion) => {
      this.#shared.claim(order, completion);
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
