import { existsSync, readFileSync, statSync } from 'node:fs';

import Database from 'better-sqlite3';

import { present } from '../../../src/core/assert.js';
import { openForReading } from '../../../src/store/sqlite/file/database.js';
import { QueryRunner } from '../../../src/store/sqlite/queries/query-runner.js';
import { openSqliteQueries } from '../../../src/store/sqlite/queries/sqlite-queries.js';
import type { RequestPage } from '../../../src/store/queries.js';
import type { ResultOf } from '../../../src/store/thread/operations.js';
import { unpackListed } from '../../../src/store/thread/request-messages.js';
import type { StoreFailure } from '../../../src/store/store.js';
import { ANY_ROW } from '../../support/stored-filters.js';
import type { ScanQuery } from '../../../src/store/scan.js';
import { digitsOf } from '../../../src/store/stored-filter.js';
import { numbersOf, QueriesUser, queryOf } from '../../support/queries-user.js';
import { accept, close, dead } from '../../support/store-changes.js';
import { StoreDirectory } from '../../support/store-directory.js';
import type { StoreUser } from '../../support/store-user.js';

let directory: StoreDirectory;
let user: StoreUser;
let queries: QueriesUser;

beforeEach(async () => {
  directory = new StoreDirectory();
  user = await directory.open();
  queries = new QueriesUser(openSqliteQueries(directory.file));
});
afterEach(async () => {
  await queries.close();
  await directory.remove();
});

const LOCKS = '/proc/locks';

/** All requests. */
const ALL: ScanQuery = {
  ...{ from: 'F'.repeat(32), to: '0'.repeat(32), service: null, serviceMatch: 'exact', kind: -1 },
  own: Buffer.alloc(0),
  ...{ more: ANY_ROW, states: 0b1110, only: null, except: null, limit: 1000 },
};

function locksOn(file: string): string[] {
  if (!existsSync(LOCKS)) return [];
  const inode = `:${statSync(file).ino} `;
  const locks = readFileSync(LOCKS, 'utf8').split('\n');
  return locks.filter((lock) => lock.includes(inode)).map((lock) => lock.replace(/^\d+: /, ''));
}

function numbersIn({ listed }: ResultOf<'page'>): number[] {
  return unpackListed(listed).map(({ number }) => number);
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}

describe('a list of the requests in a file', () => {
  it('reads a limited number of rows for one page, then ends the page early and says so', async () => {
    const many = 4500;
    await user.commit(
      ...upTo(many).map((n) => accept(n, n <= 2 ? { service: Buffer.from('old') } : {})),
    );
    const db = openForReading(directory.file);
    const reader = new QueryRunner(db, { rowsMax: 4000, msMax: Infinity });
    const query = { ...ALL, service: Buffer.from('old') };
    const first = reader.page(query);
    expect(first).toMatchObject({ next: expect.any(Buffer), scanned: 4000 });
    expect(numbersIn(first)).toEqual([]);
    const second = reader.page({ ...query, from: digitsOf(present(first.next, 'not the last')) });
    expect(second).toMatchObject({ next: null, scanned: 500 });
    expect(numbersIn(second)).toEqual([2, 1]);
    db.close();
  });

  it('ends a page early when its time is over, with what it has found by then', async () => {
    await user.commit(...upTo(1200).map((n) => accept(n)));
    await user.commit(...upTo(1200).map((n) => dead(n)));
    const db = openForReading(directory.file);
    const reader = new QueryRunner(db, { msMax: 0 });
    const query = { ...ALL, more: { ...ANY_ROW, reason: '10' } };
    const found: number[] = [];
    const scanned: number[] = [];
    for (let from: string | null = ALL.from; from !== null;) {
      const page = reader.page({ ...query, from });
      found.push(...numbersIn(page));
      scanned.push(page.scanned);
      from = page.next === null ? null : digitsOf(page.next);
    }
    expect(scanned).toEqual([500, 500, 200]);
    expect(found).toEqual(
      upTo(1200)
        .filter((n) => String(n).includes('10'))
        .reverse(),
    );
    db.close();
  });
});

describe('the thread that reads a file', () => {
  it('has no transaction open between queries, so that the log can be emptied', async () => {
    await user.commit(...upTo(100).map((n) => accept(n)), dead(1));
    await Promise.all([
      queries.page({ limit: 10 }),
      queries.page({ state: 'dead' }),
      queries.history(1),
    ]);
    await user.commit(...upTo(50).map((n) => close(n)));
    const db = new Database(directory.file);
    expect(db.pragma('wal_checkpoint(TRUNCATE)')).toEqual([{ busy: 0, log: 0, checkpointed: 0 }]);
    db.close();
    expect(numbersOf(await queries.page({ limit: 1 }))).toEqual([100]);
  });

  // Linux lists them. Without these locks, the next program that closes the file removes its log.
  it('leaves the store’s locks on its file alone', async () => {
    await user.commit(accept(1));
    const before = locksOn(directory.file);
    await queries.page();
    expect(locksOn(directory.file)).toEqual(before);
  });

  it('tells what hinders it, and begins anew with the next query', async () => {
    const file = directory.apart('later');
    const later = openSqliteQueries(file);
    const ask = (): Promise<RequestPage | StoreFailure> =>
      new Promise((resolve) => later.page(queryOf({}), resolve));
    expect(await ask()).toMatchObject({ message: expect.stringContaining('does not exist') });
    await directory.open(file);
    expect(await ask()).toEqual({ requests: [], next: null, scanned: 0 });
    await later.close();
  });
});
