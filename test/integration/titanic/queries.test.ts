import { existsSync, readFileSync, statSync } from 'node:fs';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import Database from 'better-sqlite3';

import { openForReading } from '../../../src/titanic/io/file/database.js';
import { QueryRunner } from '../../../src/titanic/io/queries/query-runner.js';
import { openSqliteQueries } from '../../../src/titanic/io/queries/sqlite-queries.js';
import type { ClosableQueries } from '../../../src/titanic/io/queries/thread-queries.js';
import type {
  PageQuery,
  RequestPage,
  RequestHistory,
} from '../../../src/titanic/operator/queries.js';
import type { StoreFailure } from '../../../src/titanic/store/store.js';
import {
  accept,
  attempt,
  close,
  dead,
  NOON,
  reply,
  requestOf,
  retry,
  uuidOf,
} from '../../support/store-changes.js';
import { makeOlderStore } from '../../support/older-store.js';
import { StoreDirectory } from '../../support/store-directory.js';
import type { StoreUser } from '../../support/store-user.js';

const ALL: PageQuery = {
  service: null,
  state: null,
  acceptedBefore: null,
  after: null,
  limit: 1000,
  only: null,
  except: null,
};

let directory: StoreDirectory;
let user: StoreUser;
let queries: ClosableQueries;

beforeEach(async () => {
  directory = new StoreDirectory();
  user = await directory.open();
  queries = openSqliteQueries(directory.file);
});
afterEach(async () => {
  await queries.close();
  await directory.remove();
});

/** @throws the failure that was returned instead */
function good<Value extends object | null>(value: Value | StoreFailure): Value {
  if (value !== null && 'message' in value) throw new Error(value.message);
  return value;
}

function page(query: Partial<PageQuery> = {}): Promise<RequestPage> {
  return new Promise<RequestPage | StoreFailure>((resolve) => {
    queries.page({ ...ALL, ...query }, resolve);
  }).then(good);
}

function history(n: number): Promise<RequestHistory | null> {
  return new Promise<RequestHistory | null | StoreFailure>((resolve) => {
    queries.history(uuidOf(n), resolve);
  }).then(good);
}

const LOCKS = '/proc/locks';

function locksOn(file: string): string[] {
  if (!existsSync(LOCKS)) return [];
  const inode = `:${statSync(file).ino} `;
  const locks = readFileSync(LOCKS, 'utf8').split('\n');
  return locks.filter((lock) => lock.includes(inode)).map((lock) => lock.replace(/^\d+: /, ''));
}

function numbersOf({ requests }: RequestPage): number[] {
  return requests.map(({ number }) => number);
}

/** Numbers of all pages, one list a page. */
async function pages(query: Partial<PageQuery>): Promise<number[][]> {
  const all: number[][] = [];
  let after: Buffer | null = null;
  do {
    const { requests, next }: RequestPage = await page({ ...query, after });
    all.push(requests.map(({ number }) => number));
    after = next;
  } while (after !== null && all.length < 1000);
  return all;
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}

describe('a list of stored requests', () => {
  it('has every field of each request, newest first', async () => {
    expect(await page()).toEqual({ requests: [], next: null });
    await user.commit(accept(1), accept(2, { priority: -5 }), accept(3), dead(1), reply(3));
    const { requests, next } = await page();
    expect(requests).toEqual([
      {
        ...requestOf(3, { state: 'replied', expiresAt: requests[0]?.expiresAt ?? 0 }),
        reason: null,
      },
      { ...requestOf(2, { priority: -5 }), reason: null },
      {
        ...requestOf(1, { state: 'dead', expiresAt: requests[2]?.expiresAt ?? 0 }),
        reason: 'dead 1',
      },
    ]);
    expect(next).toBeNull();
  });

  it('says why the last attempt failed, or why it is dead, in 256 characters', async () => {
    await user.commit(...[1, 2, 3, 4].map((n) => accept(n)));
    const long = attempt(1, 2);
    await user.commit(attempt(1, 1), ...[2, 3].map((n) => attempt(n, 1)));
    const text = '\u20ac'.repeat(1000);
    await user.commit({ ...long, attempt: { ...long.attempt, reason: text } }, dead(2), reply(3));
    const reasons = async (query: Partial<PageQuery>): Promise<unknown[]> =>
      (await page(query)).requests.map(({ reason }) => reason);
    expect(await reasons({})).toEqual([null, null, 'dead 2', '\u20ac'.repeat(256)]);
    expect(await reasons({ state: 'dead' })).toEqual(['dead 2']);
    expect(await reasons({ only: uuidOf(2) })).toEqual(['dead 2']);
    // It is retried: the reason of its last attempt is still the latest one.
    await user.commit(retry(2));
    expect(await reasons({ only: uuidOf(2) })).toEqual(['lost']);
    expect((await history(1))?.attempts.at(-1)?.reason).toBe(text);
  });

  it('has the dead requests of a store that an older version wrote', async () => {
    const file = directory.apart('older');
    makeOlderStore(file, 2);
    await directory.open(file);
    const older = openSqliteQueries(file);
    const found = await new Promise<RequestPage | StoreFailure>((resolve) => {
      older.page({ ...ALL, state: 'dead' }, resolve);
    });
    await older.close();
    expect(found).toMatchObject({ requests: [{ uuid: uuidOf(7), owner: '' }] });
  });

  it('comes in pages without gaps, even when requests are added and removed between them', async () => {
    await user.commit(...upTo(10).map((n) => accept(n)));
    expect(await pages({ limit: 4 })).toEqual([
      [10, 9, 8, 7],
      [6, 5, 4, 3],
      [2, 1],
    ]);
    expect(await pages({ limit: 5 })).toEqual([
      [10, 9, 8, 7, 6],
      [5, 4, 3, 2, 1],
    ]);
    const first = await page({ limit: 4 });
    await user.commit(close(7), close(6), accept(11));
    expect(numbersOf(await page({ limit: 4, after: first.next }))).toEqual([5, 4, 3, 2]);
  });

  it('is filtered by state, service (bytes), age, and all of them together', async () => {
    const hostile = Buffer.from([0xff, 0x00, 0x27]);
    await user.commit(
      ...upTo(12).map((n) => accept(n, n % 2 === 0 ? {} : { service: hostile })),
      ...[1, 2, 3, 4].map((n) => dead(n)),
      ...[5, 6, 7, 8].map((n) => reply(n)),
    );
    expect(await pages({ state: 'dead', limit: 3 })).toEqual([[4, 3, 2], [1]]);
    expect(await pages({ state: 'replied', limit: 3 })).toEqual([[8, 7, 6], [5]]);
    expect(await pages({ state: 'pending' })).toEqual([[12, 11, 10, 9]]);
    expect(await pages({ service: hostile })).toEqual([[11, 9, 7, 5, 3, 1]]);
    expect(await pages({ service: hostile, state: 'dead' })).toEqual([[3, 1]]);
    expect(await pages({ service: Buffer.from([0xff]) })).toEqual([[]]);
    // The time in the tests' uuids is noon and as many milliseconds as their number.
    expect(await pages({ acceptedBefore: NOON + 4 })).toEqual([[3, 2, 1]]);
    expect(await pages({ acceptedBefore: NOON + 4, state: 'dead', limit: 2 })).toEqual([
      [3, 2],
      [1],
    ]);
    expect(await pages({ acceptedBefore: -1 })).toEqual([[]]);
    expect(await pages({ acceptedBefore: 2 ** 52, limit: 12 })).toHaveLength(1);
  });

  it('lists only certain requests, or all but those, with a cursor for the next page', async () => {
    await user.commit(
      ...upTo(9).map((n) => accept(n)),
      dead(3),
      accept(20, { service: Buffer.from('x') }),
    );
    const given = Buffer.concat([7, 2, 3, 9, 5, 30, 20].map(uuidOf));
    expect(await pages({ only: given, state: 'pending', limit: 2 })).toEqual([
      [20, 9],
      [7, 5],
      [2],
    ]);
    expect(await pages({ only: given, service: Buffer.from('x') })).toEqual([[20]]);
    expect(await pages({ except: given, state: 'pending', limit: 2 })).toEqual([
      [8, 6],
      [4, 1],
    ]);
    expect(await pages({ only: Buffer.alloc(0) })).toEqual([[]]);
  });

  it('misses nothing where one slice ends and the next begins', async () => {
    const edge = { service: Buffer.from('edge') };
    // A slice has 2000 rows.
    const wanted = [2501, 2500, 501, 500];
    await user.commit(...upTo(4500).map((n) => accept(n, wanted.includes(n) ? edge : {})));
    await user.commit(...upTo(4500).map((n) => dead(n)));
    expect(await pages(edge)).toEqual([wanted]);
    expect(await pages({ ...edge, state: 'dead' })).toEqual([wanted]);
    expect(await pages({ ...edge, state: 'dead', limit: 2 })).toEqual([
      [2501, 2500],
      [501, 500],
    ]);
  });

  it('reads a limited number of rows for one page, then ends the page early and says so', async () => {
    const many = 4500;
    await user.commit(
      ...upTo(many).map((n) => accept(n, n <= 2 ? { service: Buffer.from('old') } : {})),
    );
    const db = openForReading(directory.file);
    const reader = new QueryRunner(db, 4000);
    const service = Buffer.from('old').toString('hex').toUpperCase();
    const query = { ...ALL, service, after: null, state: null, only: null, except: null };
    const first = reader.page(query);
    expect(first.rows).toEqual([]);
    expect(first.next).not.toBeNull();
    const second = reader.page({ ...query, after: first.next });
    expect(second).toMatchObject({ next: null });
    expect(second.rows.map((row) => row[3])).toEqual([2, 1]);
    db.close();
  });
});

describe('the history of a stored request', () => {
  it('says that it is unknown, or has all that is stored but body, reply and key', async () => {
    expect(await history(1)).toBeNull();
    await user.commit(accept(1, { key: 'order-17' }), attempt(1, 1));
    const { extra: _extra, ...told } = attempt(1, 1).attempt;
    expect(await history(1)).toEqual({
      request: { ...requestOf(1, { attempts: 1, notBefore: NOON + 1000 }), reason: 'lost' },
      hasKey: true,
      backoff: null,
      attemptsEver: 1,
      attempts: [told],
      reply: null,
      death: null,
    });
    await user.commit(dead(1));
    expect(await history(1)).toMatchObject({
      request: { state: 'dead' },
      death: { reason: 'dead 1', at: NOON + 6 },
    });
    await user.commit(retry(1), reply(1, { generation: 1, reply: Buffer.alloc(70_000) }));
    expect(await history(1)).toMatchObject({
      request: { state: 'replied', generation: 1, attempts: 0 },
      attemptsEver: 1,
      reply: { bytes: 70_000, worker: '7', at: NOON + 5 },
      death: null,
    });
    await user.commit(close(1));
    expect(await history(1)).toBeNull();
  });

  it('has the last 20 attempts, oldest first, and their total number', async () => {
    await user.commit(accept(1), ...upTo(25).map((n) => attempt(1, n)));
    const told = await history(1);
    expect(told).toMatchObject({ attemptsEver: 25, hasKey: false });
    expect(told?.attempts.map(({ worker }) => worker)).toEqual(upTo(20).map((n) => `w${n + 5}`));
  });
});

describe('the thread that reads', () => {
  it('refuses queries beyond its queue limit, and answers the others', async () => {
    const answers = await Promise.allSettled(upTo(70).map(() => page()));
    const refused = answers.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(6);
    expect(refused[0]).toMatchObject({ reason: { message: expect.stringContaining('too many') } });
    expect(await page()).toEqual({ requests: [], next: null });
  });

  it('has no transaction open between queries, so that the log can be emptied', async () => {
    await user.commit(...upTo(100).map((n) => accept(n)), dead(1));
    await Promise.all([page({ limit: 10 }), page({ state: 'dead' }), history(1)]);
    await user.commit(...upTo(50).map((n) => close(n)));
    const db = new Database(directory.file);
    expect(db.pragma('wal_checkpoint(TRUNCATE)')).toEqual([{ busy: 0, log: 0, checkpointed: 0 }]);
    db.close();
    expect(numbersOf(await page({ limit: 1 }))).toEqual([100]);
  });

  // Linux lists them. Without these locks, the next program that closes the file removes its log.
  it('leaves the store’s locks on its file alone', async () => {
    await user.commit(accept(1));
    const before = locksOn(directory.file);
    await page();
    expect(locksOn(directory.file)).toEqual(before);
  });

  it('tells what hinders it, and begins anew with the next query', async () => {
    const file = directory.apart('later');
    const later = openSqliteQueries(file);
    const ask = (): Promise<RequestPage | StoreFailure> =>
      new Promise((resolve) => {
        later.page(ALL, resolve);
      });
    expect(await ask()).toMatchObject({ message: expect.stringContaining('does not exist') });
    await directory.open(file);
    expect(await ask()).toEqual({ requests: [], next: null });
    await later.close();
  });
});
