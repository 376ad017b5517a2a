/** What a batch does with the changes of rows that another session keeps locked. */
import { randomBytes } from 'node:crypto';

import { afterEach, expect, it } from '@jest/globals';

import { placeOf } from '../../src/core/postgres-url.js';
import { openPostgresStore } from '../../src/titanic/io/postgres/postgres-store.js';
import { scheduleKey, TITANIC_SCHEDULE } from '../../src/wire/tsp.js';
import { atEnd, endAll } from '../support/daemon-users.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { accept, attempt, close, NOON } from '../support/store-changes.js';
import { type OpenStore, StoreUser } from '../support/store-user.js';

const cluster = sharedCluster();

afterEach(endAll);

function ignored(): void {}

describeWithPostgres('a batch with rows that another session keeps locked', () => {
  /** A store with requests up to `count`, all locked. */
  async function allLocked(timeoutMs: number, count: number): Promise<StoreUser> {
    const server = await cluster();
    const name = await server.database();
    const place = placeOf(server.url(name));
    if (typeof place === 'string') throw new Error(place);
    const home = randomBytes(16).toString('hex');
    const opened: OpenStore = (events) =>
      openPostgresStore(
        {
          login: { place, passwordFile: null, isLoopback: true },
          ...{ name, timeoutMs, leaseMs: 60_000, node: 'test', home, storeId: null },
          hints: false,
        },
        Object.assign(events, {
          ...{ kept: ignored, taken: ignored, counted: ignored },
          ...{ claimed: ignored, claimFailed: ignored, hinted: ignored },
        }),
        ignored,
      );
    const store = await StoreUser.open(opened);
    atEnd(() => store.close());
    await store.commit(...Array.from({ length: count }, (_, n) => accept(n + 1)));
    const person = await server.session(name);
    atEnd(() => person.end());
    await person.query('BEGIN');
    await person.query('SELECT 1 FROM majordomo.request FOR UPDATE');
    return store;
  }

  it('stores the request of a client that follows an attempt, or a close, of one of them', async () => {
    const store = await allLocked(2000, 2);
    const results = await store.commit(attempt(1, 1), accept(11), close(2, 0), accept(12));
    expect(results.map(({ kind }) => kind)).toEqual(['busy', 'done', 'busy', 'done']);
  });

  it('makes neither the step of a schedule nor what it stores (D80)', async () => {
    const store = await allLocked(2000, 2);
    const key = scheduleKey('daily', '2027-01-15').toString('latin1');
    const stored = { ...accept(11), key: Buffer.from(key, 'latin1') };
    const replaced = accept(12, { service: Buffer.from(TITANIC_SCHEDULE) });
    const results = await store.commit(attempt(1, 1), stored, close(2, NOON), replaced);
    expect(results.map(({ kind }) => kind)).toEqual(['busy', 'busy', 'busy', 'busy']);
  });

  it('waits for the first of them only', async () => {
    const store = await allLocked(10_000, 3);
    expect(await store.commit(close(1, 0))).toEqual([{ kind: 'busy' }]);
    const began = performance.now();
    for (const n of [2, 3]) expect(await store.commit(close(n, 0))).toEqual([{ kind: 'busy' }]);
    expect(performance.now() - began).toBeLessThan(7000);
  });
});
