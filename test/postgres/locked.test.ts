/** A person's session of the database keeps the row of a request locked. */
import { atEnd, ask, clientOf, endAll, serve, upper } from '../support/daemon-users.js';
import { type Daemon, startDaemon } from '../support/daemon.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { until } from '../support/until.js';

const cluster = sharedCluster();

afterEach(endAll);

describeWithPostgres('a row that another session keeps locked', () => {
  let database: string;

  async function begin(sets: readonly string[] = []): Promise<Daemon> {
    const server = await cluster();
    database = await server.database();
    return await startDaemon({ sets: [`titanic.store=${server.url(database)}`, ...sets] });
  }

  /** Begins a transaction that has it locked. */
  async function lock(what: string): Promise<{ pid: number; release(): Promise<void> }> {
    const person = await (await cluster()).session(database);
    atEnd(() => person.end());
    await person.query('BEGIN');
    const { rows } = await person.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await person.query(what);
    return {
      pid: rows[0]?.pid ?? 0,
      release: async () => {
        await person.query('ROLLBACK');
      },
    };
  }

  it('the others are stored and answered meanwhile; its reply is stored afterwards', async () => {
    const daemon = await begin();
    const client = clientOf(daemon);
    let finish: () => void = () => undefined;
    const seen = serve(
      daemon,
      'upper',
      async (text) => {
        if (text === 'held') {
          await new Promise<void>((resolve) => {
            finish = resolve;
          });
        }
        return text.toUpperCase();
      },
      { concurrency: 100 },
    );
    const [, uuid = ''] = await ask(client, 'titanic.request', 'upper', 'held');
    await until(() => seen.length === 1, 'it is run');
    const { pid, release } = await lock(
      `SELECT 1 FROM majordomo.request WHERE id = '${uuid}' FOR UPDATE`,
    );
    finish();
    const statuses = new Set<string>();
    for (let round = 0; round < 20; round++) {
      const asked = Array.from({ length: 10 }, async () => {
        const [status = '', other = ''] = await ask(client, 'titanic.request', 'upper', 'x');
        statuses.add(status);
        return other;
      });
      for (const other of await Promise.all(asked)) {
        await until(async () => (await ask(client, 'titanic.reply', other))[0] === '200', other);
      }
    }
    expect([...statuses]).toEqual(['200']);
    expect(await ask(client, 'titanic.reply', uuid)).toEqual(['300']);
    // Who asks for it to be changed is told, in certain terms.
    expect(await ask(client, 'titanic.close', uuid)).toEqual(['500 the store is too busy']);
    const line = await daemon.waitFor('store.locked');
    expect(line).toMatchObject({ uuid, pid });
    expect(String(line['msg'])).toContain(`process ${pid} of the server`);
    expect(daemon.logged('store.failed')).toEqual([]);

    await release();
    await until(async () => (await ask(client, 'titanic.reply', uuid))[0] === '200', 'its reply');
    expect(await ask(client, 'titanic.close', uuid)).toEqual(['200']);
    expect(seen.filter((text) => text === 'held')).toHaveLength(1);
  });

  it('a whole table: the outcome is certain, and everything goes on afterwards', async () => {
    const daemon = await begin(['titanic.storeTimeoutMs=4000']);
    const client = clientOf(daemon);
    expect(await ask(client, 'titanic.request', 'upper', 'first')).toHaveLength(2);
    const { release } = await lock('LOCK TABLE majordomo.request');
    const [status = ''] = await ask(client, 'titanic.request', 'upper', 'second');
    expect(status).toMatch(/^500 the store is too busy/);
    await release();
    await until(
      async () => (await ask(client, 'titanic.request', 'upper', 'third')).length === 2,
      'the next one is stored',
    );
    const seen = serve(daemon, 'upper', upper);
    await until(() => seen.length === 2, 'both are run');
    expect([...seen].sort()).toEqual(['first', 'third']);
  });
});
