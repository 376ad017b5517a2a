/**
 * A batch that waits for a row which another one changes: what belongs to the row then is not in the
 * snapshot of its statement.
 */
import { databaseAddressOf } from '../../src/core/postgres-url.js';
import { verifyDatabase } from '../../src/extensions/postgres/examine.js';
import type { Change } from '../../src/store/store.js';
import { endAll } from '../support/daemon-users.js';
import type { Cluster } from '../support/postgres-cluster.js';
import { openDatabaseStore } from '../support/postgres-place.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import {
  accept,
  attempt,
  close,
  DAY_MS,
  dead,
  NOON,
  reply,
  retry,
  sweep,
  uuidOf,
} from '../support/store-changes.js';
import type { Outcome, StoreUser } from '../support/store-user.js';
import { until } from '../support/until.js';

const cluster = sharedCluster();

afterEach(endAll);

describeWithPostgres('a change that waits for another one of the same request', () => {
  /** A store in a database of its own. */
  async function open(): Promise<{ server: Cluster; name: string; store: StoreUser }> {
    const server = await cluster();
    const name = await server.database();
    const { store } = await openDatabaseStore(server.url(name), 60_000);
    return { server, name, store };
  }

  /** Commits both at a time; the second begins before the first has ended, and waits for it. */
  async function bothOf(
    { server, name, store }: Awaited<ReturnType<typeof open>>,
    first: Change,
    second: Change,
  ): Promise<unknown[]> {
    const holder = await server.session(name);
    await holder.query('BEGIN');
    await holder.query('SELECT 1 FROM majordomo.request FOR UPDATE');
    const outcomes: Promise<Outcome>[] = [];
    for (const change of [first, second]) {
      outcomes.push(store.tryCommit([change]));
      await waiting(server, name, outcomes.length);
    }
    await holder.query('COMMIT');
    await holder.end();
    const ended = await Promise.all(outcomes);
    return ended.map((outcome) => ('results' in outcome ? outcome.results[0]?.kind : outcome));
  }

  async function waiting(server: Cluster, name: string, count: number): Promise<void> {
    await until(async () => {
      const [row] = await server.sql(
        `SELECT count(*)::int AS waiting FROM pg_stat_activity
        WHERE datname = '${name}' AND wait_event_type = 'Lock'`,
      );
      return row?.['waiting'] === count;
    }, `${count} wait`);
  }

  async function problemsOf(server: Cluster, name: string): Promise<readonly string[]> {
    const address = databaseAddressOf(server.url(name));
    if (typeof address === 'string') throw new Error(address);
    const login = { address, passwordFile: null, isLoopback: true };
    return (await verifyDatabase({ login, name, storeId: null }, () => undefined)).problems;
  }

  const closed = { state: 'absent' };
  const replied = { state: 'replied', reply: Buffer.from('reply 1') };
  const cases: readonly (readonly [
    string,
    readonly Change[],
    Change,
    Change,
    Record<string, unknown>,
  ])[] = [
    ['a close, after a reply', [accept(1)], reply(1), close(1), closed],
    ['a close, after an attempt', [accept(1)], attempt(1, 1), close(1), closed],
    ['a close, after a death', [accept(1)], dead(1), close(1), closed],
    ['a reply, after a death', [accept(1)], dead(1), reply(1), replied],
    ['a retry, after a reply', [accept(1)], reply(1), retry(1), { state: 'pending' }],
    ['a retry, after a death', [accept(1)], dead(1), retry(1), { state: 'pending' }],
  ];
  for (const [title, before, first, second, found] of cases) {
    it(`${title}: leaves nothing behind`, async () => {
      const opened = await open();
      const { server, name, store } = opened;
      await store.commit(...before);
      const kinds = await bothOf(opened, first, second);
      expect(kinds).toEqual(['done', second.kind === 'retry' ? 'reopened' : 'done']);
      expect(await store.lookUp(uuidOf(1))).toMatchObject(found);
      expect(await problemsOf(server, name)).toEqual([]);
    });
  }

  it('a sweep that meets a request which was tried a moment ago: leaves nothing behind', async () => {
    const { server, name, store } = await open();
    await store.commit(accept(1), accept(2));
    const holder = await server.session(name);
    await holder.query('BEGIN');
    await holder.query('SELECT 1 FROM majordomo.broker FOR UPDATE');
    const swept = store.commit(sweep(NOON + 9 * DAY_MS));
    await waiting(server, name, 1);
    await server.sql(
      `UPDATE majordomo.request SET attempts_ever = 1 WHERE id = '${uuidOf(1).toString('hex')}';
      INSERT INTO majordomo.attempt SELECT id, 1, '', 0, 0, '' FROM majordomo.request
        WHERE attempts_ever = 1`,
      name,
    );
    await holder.query('COMMIT');
    await holder.end();
    expect(await swept).toMatchObject([{ kind: 'swept', more: false }]);
    expect(await store.lookUp(uuidOf(1))).toEqual({ state: 'absent' });
    expect(await problemsOf(server, name)).toEqual([]);
  });

  it('the reply to a request that was retried while it was replied to is stored', async () => {
    const opened = await open();
    const { server, name, store } = opened;
    await store.commit(accept(1));
    expect(await bothOf(opened, reply(1), retry(1))).toEqual(['done', 'reopened']);
    const [result] = await store.commit(reply(1, { generation: 1, reply: Buffer.from('second') }));
    expect(result?.kind).toBe('done');
    expect(await store.lookUp(uuidOf(1))).toMatchObject({ reply: Buffer.from('second') });
    expect(await problemsOf(server, name)).toEqual([]);
  });
});
