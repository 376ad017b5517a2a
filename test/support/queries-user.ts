/** Asks the query port of a store, as the operator does, for requests that tests have numbered. */
import type { Bodies } from '../../src/store/bodies.js';
import type { ClosableQueries } from '../../src/store/thread/thread-queries.js';
import type {
  GroupPage,
  OwnedKey,
  PageQuery,
  RequestHistory,
  RequestPage,
} from '../../src/store/queries.js';
import { STATES, type StoredState, type StoreFailure } from '../../src/store/store.js';
import type { Grouping, RowFilter, StoredFilter } from '../../src/store/stored-filter.js';
import { ANY_REQUEST, ANY_ROW } from './stored-filters.js';
import { NOON, uuidOf } from './store-changes.js';

/** A query as tests write it: what is not given is any. */
export type Given = Partial<
  Omit<StoredFilter, 'more'> & RowFilter & Omit<PageQuery, 'filter' | 'states'>
> & { readonly state?: StoredState };

export function queryOf({ state, after, limit, only, except, ...filter }: Given): PageQuery {
  const { service, serviceMatch, kind, group, uuid, acceptedAfter, acceptedBefore, ...row } =
    filter;
  const indexed = { service, serviceMatch, kind, group, uuid, acceptedAfter, acceptedBefore };
  const named = Object.entries(indexed).filter(([, value]) => value !== undefined);
  return {
    filter: { ...ANY_REQUEST, ...Object.fromEntries(named), more: { ...ANY_ROW, ...row } },
    states: state === undefined ? STATES : [state],
    ...{ after: after ?? null, limit: limit ?? 1000, only: only ?? null, except: except ?? null },
  };
}

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

  page(query: Given = {}): Promise<RequestPage> {
    return new Promise<RequestPage | StoreFailure>((resolve) => {
      this.#queries.page(queryOf(query), resolve);
    }).then(good);
  }

  /** Numbers of all pages, one list a page. */
  async pages(query: Given): Promise<number[][]> {
    const all: number[][] = [];
    let after: Buffer | null = null;
    do {
      const found: RequestPage = await this.page({ ...query, after });
      all.push(numbersOf(found));
      after = found.next;
    } while (after !== null && all.length < 1000);
    return all;
  }

  groups(by: Grouping, { limit = 1000, ...query }: Given = {}): Promise<GroupPage> {
    return new Promise<GroupPage | StoreFailure>((resolve) => {
      this.#queries.groups({ ...queryOf(query), by, limit }, resolve);
    }).then(good);
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

  hasKeys(keys: readonly OwnedKey[]): Promise<readonly boolean[]> {
    return new Promise<readonly boolean[] | StoreFailure>((resolve) => {
      this.#queries.hasKeys(keys, resolve);
    }).then(good);
  }

  close(): Promise<void> {
    return this.#queries.close();
  }
}
