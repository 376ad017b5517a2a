/** Asks the query port of a store, as the operator does, for requests that tests have numbered. */
import type { Bodies } from '../../src/store/bodies.js';
import type { ClosableQueries } from '../../src/store/thread/thread-queries.js';
import type { PageQuery, RequestHistory, RequestPage } from '../../src/store/queries.js';
import type { StoreFailure } from '../../src/store/store.js';
import { NOON, uuidOf } from './store-changes.js';

/** All requests. */
export const ALL: PageQuery = {
  service: null,
  state: null,
  acceptedBefore: null,
  after: null,
  limit: 1000,
  only: null,
  except: null,
};

/** The numbers that the tests gave them, which are in their uuids: a database gives them others. */
export function numbersOf({ requests }: RequestPage): number[] {
  return requests.map(({ uuid }) => uuid.readUIntBE(0, 6) - NOON);
}

/** @throws the failure that was returned instead */
function good<Value extends object | null>(value: Value | StoreFailure): Value {
  if (value !== null && 'message' in value) throw new Error(value.message);
  return value;
}

export class QueriesUser {
  readonly #queries: ClosableQueries;

  constructor(queries: ClosableQueries) {
    this.#queries = queries;
  }

  page(query: Partial<PageQuery> = {}): Promise<RequestPage> {
    return new Promise<RequestPage | StoreFailure>((resolve) => {
      this.#queries.page({ ...ALL, ...query }, resolve);
    }).then(good);
  }

  /** Numbers of all pages, one list a page. */
  async pages(query: Partial<PageQuery>): Promise<number[][]> {
    const all: number[][] = [];
    let after: Buffer | null = null;
    do {
      const found: RequestPage = await this.page({ ...query, after });
      all.push(numbersOf(found));
      after = found.next;
    } while (after !== null && all.length < 1000);
    return all;
  }

  history(n: number): Promise<RequestHistory | null> {
    return new Promise<RequestHistory | null | StoreFailure>((resolve) => {
      this.#queries.history(uuidOf(n), resolve);
    }).then(good);
  }

  bodies(n: number): Promise<Bodies | null> {
    return new Promise<Bodies | null | StoreFailure>((resolve) => {
      this.#queries.bodies(uuidOf(n), resolve);
    }).then(good);
  }

  close(): Promise<void> {
    return this.#queries.close();
  }
}
