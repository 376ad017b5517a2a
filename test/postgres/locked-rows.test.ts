/** What a batch does with the changes of rows that another session keeps locked. */
import { present } from '../../src/core/assert.js';

import type { StoreReport } from '../../src/extensions/postgres/postgres-store.js';
import { dueWebhook } from '../../src/titanic/machine/requests/webhooks.js';
import { scheduleKey, TITANIC_SCHEDULE, uuidText } from '../../src/wire/tsp.js';
import { atEnd, endAll } from '../support/daemon-users.js';
import type { Cluster } from '../support/postgres-cluster.js';
import { openDatabaseStore } from '../support/postgres-place.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { accept, attempt, close, NOON, uuidOf } from '../support/store-changes.js';
import type { StoreUser } from '../support/store-user.js';

const cluster = sharedCluster();

afterEach(endAll);

describeWithPostgres('a batch with rows that another session keeps locked', () => {
  interface Locked {
    readonly server: Cluster;
    readonly name: string;
    readonly store: StoreUser;
    /** The process of the server that has them locked. */
    readonly pid: number;
    readonly reports: readonly StoreReport[];
  }

  /** A store with requests up to `count`, all locked. */
  async function allLocked(timeoutMs: number, count: number): Promise<Locked> {
    const server = await cluster();
    const name = await server.database();
    const { store, reports } = await openDatabaseStore(server.url(name), timeoutMs);
    await store.commit(...Array.from({ length: count }, (_, n) => accept(n + 1)));
    const pid = await lock(server, name, 'SELECT 1 FROM majordomo.request FOR UPDATE');
    return { server, name, store, pid, reports };
  }

  /** @returns the process of the server that has something locked until the end of the test */
  async function lock(server: Cluster, name: string, what: string): Promise<number> {
    const person = await server.session(name);
    atEnd(() => person.end());
    await person.query('BEGIN');
    await person.query(what);
    const { rows } = await person.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    return rows[0]?.pid ?? 0;
  }

  it('stores the request of a client that follows an attempt, or a close, of one of them', async () => {
    const { store } = await allLocked(2000, 2);
    const results = await store.commit(attempt(1, 1), accept(11), close(2, 0), accept(12));
    expect(results.map(({ kind }) => kind)).toEqual(['busy', 'done', 'busy', 'done']);
  });

  it('makes neither the step of a schedule nor what it stores (D80)', async () => {
    const { store } = await allLocked(2000, 2);
    const key = scheduleKey('daily', '2027-01-15').toString('latin1');
    const stored = { ...accept(11), key: Buffer.from(key, 'latin1') };
    const replaced = accept(12, { kind: 'schedule', service: Buffer.from(TITANIC_SCHEDULE) });
    const [step, end] = [attempt(1, 1), close(2, NOON)].map(
      (each) => ({ ...each, withNext: true }) as const,
    );
    const results = await store.commit(
      present(step, 'a step'),
      stored,
      present(end, 'an end'),
      replaced,
    );
    expect(results.map(({ kind }) => kind)).toEqual(['busy', 'busy', 'busy', 'busy']);
  });

  it('makes neither the end of a request nor what makes its webhook due, whichever is locked', async () => {
    const { store } = await allLocked(2000, 1);
    const webhook = uuidOf(1);
    const due = { ...dueWebhook(webhook, 0, 'replied', NOON), withNext: true } as const;
    expect(await store.commit(accept(2, { partner: webhook }))).toEqual([{ kind: 'done' }]);
    const results = await store.commit(due, close(2, 0));
    expect(results.map(({ kind }) => kind)).toEqual(['busy', 'busy']);
    expect(await store.commit(close(2, 0))).toEqual([{ kind: 'ended', webhook, generation: 0 }]);
  });

  it('waits for the first of them only; a body counts, too, and each process is told', async () => {
    const { store, server, name, pid, reports } = await allLocked(10_000, 3);
    await store.commit(accept(4));
    const uuid = uuidText(uuidOf(4));
    const body = `SELECT 1 FROM majordomo.body WHERE id = '${uuid}' FOR UPDATE`;
    const other = await lock(server, name, body);
    const began = performance.now();
    expect(await store.commit(close(1, 0))).toEqual([{ kind: 'busy' }]);
    const firstMs = performance.now() - began;
    for (const n of [2, 3, 4]) {
      const results = await store.commit(close(n, 0), accept(10 + n));
      expect(results.map(({ kind }) => kind)).toEqual(['busy', 'done']);
    }
    // Each of them would wait as long as the first one.
    expect(performance.now() - began - firstMs).toBeLessThan(2 * firstMs);
    const told = reports.filter((each) => each.report === 'locked');
    expect(new Set(told.map((each) => each.pid))).toEqual(new Set([pid, other]));
    expect(told.at(-1)).toMatchObject({ uuid: uuidOf(4).toString('hex'), pid: other });
  });
});
