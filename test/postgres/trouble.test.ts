/**
 * What the database refuses while a broker runs: tried again within the time for it, then 500,
 * counted by reason. No receipt is lost, and the broker serves again when the cause is gone.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { assert, present } from '../../src/core/assert.js';
import { messageOf } from '../../src/core/errors.js';
import { databaseAddressOf } from '../../src/core/postgres-url.js';
import type { Connection } from '../../src/extensions/postgres/connection.js';
import { PROCESS_CLOCK } from '../../src/extensions/postgres/clock.js';
import { connect } from '../../src/extensions/postgres/connect.js';
import { PersistentConnection } from '../../src/extensions/postgres/persistent-connection.js';
import { endSession, others } from '../../src/extensions/postgres/session.js';
import { ask, clientOf, endAll, serve, upper } from '../support/daemon-users.js';
import { type Daemon, startDaemon } from '../support/daemon.js';
import { Cluster } from '../support/postgres-cluster.js';
import { opens } from '../support/postgres-place.js';
import { describeWithPostgres } from '../support/postgres.js';
import { Receipts } from '../support/receipts.js';
import { removeSmallDisks, SmallDisk } from '../support/small-disk.js';
import { itWithTool } from '../support/tools.js';
import { until } from '../support/until.js';
import { PATIENCE_MS } from '../support/patience.js';

/** Raises an error for the next uses of a table, as the server would. */
const FAULTS = `CREATE SEQUENCE public.faults;
  CREATE FUNCTION public.fault() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF nextval('public.faults') <= TG_ARGV[1]::bigint THEN
        RAISE EXCEPTION 'made for a test' USING ERRCODE = TG_ARGV[0];
      END IF;
      RETURN NULL;
    END $$`;

function faulty(state: string, times: number): string {
  return `SELECT setval('public.faults', 1, false);
    CREATE TRIGGER fault AFTER INSERT ON majordomo.request FOR EACH STATEMENT
    EXECUTE FUNCTION public.fault('${state}', ${times})`;
}

/** Nothing is refused because the machine is busy. */
const PATIENT_MS = 60_000;
const CONFLICTS = [
  ['40001', 'serialization'],
  ['40P01', 'deadlock'],
] as const;
const MENDED = 'DROP TRIGGER fault ON majordomo.request';

describeWithPostgres('while the broker runs', () => {
  let server: Cluster;

  beforeAll(async () => {
    server = await Cluster.make();
    await server.sql('CREATE ROLE broker SUPERUSER LOGIN; CREATE ROLE poor LOGIN');
  });

  afterEach(endAll);

  afterAll(async () => {
    await server.remove();
    removeSmallDisks();
  });

  /** @param timeoutMs by default one that a busy machine rarely needs for something that is to be done */
  async function begin(database: string, user = 'postgres', timeoutMs = 3000): Promise<Daemon> {
    const daemon = await startDaemon({
      sets: [
        ...[`titanic.store=${server.url(database, user)}`, `titanic.storeTimeoutMs=${timeoutMs}`],
        ...['http.listen=127.0.0.1:0', 'fleet.leaseMs=60000'],
      ],
    });
    serve(daemon, 'upper', upper);
    return daemon;
  }

  async function page(daemon: Daemon, path: string): Promise<string> {
    const { http } = await daemon.waitFor('broker.ready');
    return await (await fetch(`${String(http)}${path}`)).text();
  }

  async function retries(daemon: Daemon, reason: string): Promise<number> {
    const metrics = await page(daemon, '/metrics');
    const line = new RegExp(`titanic_store_retries_total\\{reason="${reason}"\\} (\\d+)`);
    return Number(line.exec(metrics)?.[1]);
  }

  /** Receipts before, refusals with it, receipts after it; none is missing. */
  async function endures(
    daemon: Daemon,
    database: string,
    reason: string,
    trouble: { begins(): Promise<unknown>; ends(): Promise<unknown> },
  ): Promise<void> {
    const receipts = new Receipts(daemon.endpoint, 3);
    await until(() => receipts.given.length > 50, 'receipts');
    await trouble.begins();
    await until(() => receipts.refused.length > 3, 'refusals');
    expect(receipts.refused.filter(({ status }) => !status.startsWith('500 '))).toEqual([]);
    // The first refusals may have had another reason, such as the end of the connections.
    await until(async () => (await retries(daemon, reason)) > 0, 'the retries are counted');
    const refuses = 'durable requests are refused (500)';
    await until(async () => (await page(daemon, '/readyz')).includes(refuses), refuses);
    expect(await ask(clientOf(daemon), 'upper', 'plain')).toEqual(['PLAIN']);
    await trouble.ends();
    const before = receipts.given.length;
    await until(() => receipts.given.length > before + 50, 'receipts again');
    await until(async () => !(await page(daemon, '/readyz')).includes('500'), 'ready');
    await receipts.stop();
    expect(await receipts.missing(server, database)).toEqual([]);
    expect(daemon.logged('broker.ready')).toHaveLength(1);
  }

  itWithTool('root', 'a full disk of the database', async () => {
    const path = mkdtempSync(join(tmpdir(), 'majordomo-tablespace-'));
    const disk = new SmallDisk(path, '40m');
    spawnSync('chown', ['postgres:postgres', path]);
    await server.sql(`CREATE TABLESPACE small LOCATION '${path}'`);
    await server.sql('CREATE DATABASE full_one TABLESPACE small');
    const daemon = await begin('full_one');
    await endures(daemon, 'full_one', 'full', {
      begins: async () => disk.fill(),
      ends: async () => disk.free(),
    });
    await endAll();
    await server.sql('DROP DATABASE full_one WITH (FORCE)');
    await server.sql('DROP TABLESPACE small');
    removeSmallDisks();
    rmSync(path, { recursive: true });
  });

  it('too many connections', async () => {
    const name = await server.database();
    await server.sql(`GRANT CREATE ON DATABASE ${name} TO poor`);
    const daemon = await begin(name, 'poor');
    await endures(daemon, name, 'too_many_connections', {
      begins: async () => {
        await server.sql('ALTER ROLE poor CONNECTION LIMIT 0');
        await server.sql(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'poor'",
        );
      },
      ends: () => server.sql('ALTER ROLE poor CONNECTION LIMIT -1'),
    });
    await daemon.waitFor('store.lost');
    expect(daemon.logged('store.lost')).toHaveLength(1);
  });

  it('no connection more, while it has those that it needs: all is stored, and nothing is called lost', async () => {
    const name = await server.database();
    await server.sql(`GRANT CREATE ON DATABASE ${name} TO poor`);
    const sets = [`titanic.store=${server.url(name, 'poor')}`, 'http.listen=127.0.0.1:0'];
    const daemon = await startDaemon({ sets: [...sets, 'fleet.leaseMs=3000'] });
    const client = clientOf(daemon);
    expect((await ask(client, 'titanic.request', 'upper', 'x'))[0]).toBe('200');
    await server.sql('ALTER ROLE poor CONNECTION LIMIT 0');
    // With another broker beside it, it counts again and again, over a connection that it makes for that.
    await server.sql(
      `INSERT INTO majordomo.broker (node, home, lease_until, dead, readable)
        VALUES ('other', 'elsewhere', now() + interval '1 hour', false, 1)`,
      name,
    );
    await until(async () => (await retries(daemon, 'too_many_connections')) > 2, 'it tries');
    const [status] = await ask(client, 'titanic.request', 'upper', 'y');
    const readyz = await page(daemon, '/readyz');
    await server.sql('ALTER ROLE poor CONNECTION LIMIT -1');
    expect(status).toBe('200');
    expect(daemon.logged('store.lost')).toEqual([]);
    expect(readyz).not.toContain('store_');
  });

  it('a right that is taken away: /readyz and the log say which one, and the GRANT that they name mends it', async () => {
    const name = await server.database();
    await server.sql(`GRANT CREATE ON DATABASE ${name} TO poor`);
    const sets = [`titanic.store=${server.url(name, 'poor')}`, 'http.listen=127.0.0.1:0'];
    const daemon = await startDaemon({ sets: [...sets, 'fleet.leaseMs=3000'] });
    await server.sql('REVOKE UPDATE ON majordomo.broker FROM poor', name);
    const { text, msg } = await daemon.waitFor('store.session_lost');
    const grant =
      'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA majordomo TO "poor"';
    const words = `it was not renewed: permission denied for table broker (42501): ${grant}`;
    expect([text, msg]).toEqual([words, expect.stringContaining(`stores nothing: ${words}`)]);
    const { degraded } = JSON.parse(await page(daemon, '/readyz')) as { degraded: unknown[] };
    expect(degraded).toEqual([
      { code: 'store_no_session', text: expect.stringContaining(`with the store: ${words}`) },
    ]);
    await server.sql(grant, name);
    await daemon.waitFor('store.session_taken');
    expect((await ask(clientOf(daemon), 'titanic.request', 'upper', 'x'))[0]).toBe('200');
  });

  it('a look-up that the database refuses: 500, and a line of its own, once', async () => {
    const name = await server.database();
    await server.sql('CREATE ROLE blind LOGIN');
    await server.sql(`ALTER DATABASE ${name} OWNER TO blind`);
    const daemon = await begin(name, 'blind', PATIENT_MS);
    const client = clientOf(daemon);
    const [, uuid = ''] = await ask(client, 'titanic.request', 'nobody', 'x');
    await server.sql('REVOKE SELECT ON majordomo.body FROM blind', name);
    const again = (): Promise<string[]> => ask(client, 'titanic.reply', uuid);
    expect((await again())[0]).toMatch(/^500/);
    const { msg } = await daemon.waitFor('store.unread');
    expect(msg).toMatch(
      /refuses to be read.*permission denied for table body \(42501\): GRANT SELECT, .* TO "blind"$/,
    );
    // (A sweep, which is a write, needs the right as well, and may come before: `store.failed`.)
    expect((await again())[0]).toMatch(/^500/);
    await server.sql('GRANT SELECT ON majordomo.body TO blind', name);
    expect((await again())[0]).toMatch(/^300/);
    await server.sql('REVOKE SELECT ON majordomo.body FROM blind', name);
    expect((await again())[0]).toMatch(/^500/);
    // Again after it had worked, and not for each look-up.
    await daemon.waitFor('store.unread', 2);
    expect(daemon.logged('store.unread')).toHaveLength(2);
  });

  it('a row that it never takes: its client gets 500, and the rest of the batch is stored', async () => {
    const name = await server.database();
    const daemon = await begin(name, 'postgres', PATIENT_MS);
    await server.sql(
      `ALTER TABLE majordomo.body ADD CHECK (position('poison'::bytea IN frames) = 0)`,
      name,
    );
    serve(daemon, 'echo', (text) => (text === 'bad' ? 'poison' : text));
    const asking = clientOf(daemon, { timeoutMs: PATIENCE_MS });
    const bodies = Array.from({ length: 200 }, (_, n) => (n % 50 === 7 ? 'poison' : `body ${n}`));
    const told = await Promise.all(
      bodies.map((body) =>
        asking.submit('echo', body).then(
          async (job) => (await job.result({ timeoutMs: PATIENCE_MS })).text(),
          (error: unknown) => messageOf(error),
        ),
      ),
    );
    for (const [n, text] of told.entries()) {
      if (bodies[n] === 'poison') expect(text).toContain('the store refuses it');
      else expect(text).toBe(bodies[n]);
    }
    // A reply that it does not take: there is none, and its client is told why.
    const job = await asking.submit('echo', 'bad');
    await expect(job.result({ timeoutMs: PATIENCE_MS })).rejects.toThrow(
      'the store refuses the reply',
    );
    expect((await asking.request('echo', 'plain')).text()).toBe('plain');
    expect(daemon.logged('store.failed')).toEqual([]);
    expect(await daemon.waitFor('store.refused')).toMatchObject({
      text: expect.stringContaining('violates check constraint'),
    });
  });

  it('a serialization failure, a deadlock: again, and nobody notices', async () => {
    const name = await server.database();
    const daemon = await begin(name, 'postgres', PATIENT_MS);
    await server.sql(FAULTS, name);
    const receipts = new Receipts(daemon.endpoint, 3);
    await until(() => receipts.given.length > 50, 'receipts');
    for (const [state, reason] of CONFLICTS) {
      await server.sql(faulty(state, 3), name);
      await until(async () => (await retries(daemon, reason)) >= 3, `again after a ${reason}`);
      const before = receipts.given.length;
      await until(() => receipts.given.length > before + 50, `receipts after a ${reason}`);
      await server.sql(MENDED, name);
    }
    await receipts.stop();
    expect(receipts.refused).toEqual([]);
    expect(await receipts.missing(server, name)).toEqual([]);
  });

  it('always a serialization failure, or a deadlock; read-only transactions', async () => {
    const name = await server.database();
    const daemon = await begin(name);
    await server.sql(FAULTS, name);
    for (const [state, reason] of CONFLICTS) {
      await endures(daemon, name, reason, {
        begins: () => server.sql(faulty(state, 1e9), name),
        ends: () => server.sql(MENDED, name),
      });
    }
    await endures(daemon, name, 'read_only', {
      begins: () => server.configure({ default_transaction_read_only: 'on' }),
      ends: () => server.configure({ default_transaction_read_only: 'off' }),
    });
  });

  it('a right that is withdrawn: 500 at once, and served again when it is given back', async () => {
    const name = await server.database();
    const daemon = await begin(name, 'broker', PATIENT_MS);
    await server.sql(
      `REASSIGN OWNED BY broker TO postgres;
      GRANT USAGE ON SCHEMA majordomo TO broker;
      GRANT ALL ON ALL TABLES IN SCHEMA majordomo TO broker; ALTER ROLE broker NOSUPERUSER`,
      name,
    );
    const receipts = new Receipts(daemon.endpoint, 1);
    await until(() => receipts.given.length > 10, 'receipts');
    await server.sql('REVOKE INSERT ON majordomo.body FROM broker', name);
    await until(() => receipts.refused.length > 0, 'a refusal');
    // Who cannot mend it is not told about tables.
    expect(receipts.refused[0]?.status).toBe('500 the store refuses it');
    expect(await daemon.waitFor('store.failed')).toMatchObject({
      text: expect.stringContaining('permission denied for table body'),
    });
    await server.sql('GRANT INSERT ON majordomo.body TO broker', name);
    const before = receipts.given.length;
    await until(() => receipts.given.length > before + 10, 'receipts again');
    await receipts.stop();
    expect(await receipts.missing(server, name)).toEqual([]);
  });

  function connectionTo(
    database: string,
    connected: (connection: Connection) => Promise<void> = async () => undefined,
  ): PersistentConnection<Connection> {
    const address = databaseAddressOf(server.url(database));
    assert(typeof address !== 'string', 'an address');
    const login = { address, passwordFile: null, isLoopback: true };
    return new PersistentConnection(
      (...given) => connect(login, ...given),
      PROCESS_CLOCK,
      10_000,
      { hostIndex: 0 },
      {
        connected,
        unreachable: () => undefined,
        retried: () => undefined,
      },
    );
  }

  it('a broker that vanished in a transaction: the server ends that soon; its session ends then, not before', async () => {
    const database = await server.database();
    await opens(server.url(database));
    const persistent = connectionTo(database);
    const use = async <Result>(
      work: (connection: Connection) => Promise<Result>,
    ): Promise<Result> => await persistent.use(PROCESS_CLOCK.now() + 10_000, work);
    const [[limit] = []] = await use((connection) =>
      connection.ask('SHOW idle_in_transaction_session_timeout'),
    );
    expect(limit).toBe('10s');
    await server.sql(
      `INSERT INTO majordomo.broker (node, home, lease_until, dead, readable)
        VALUES ('gone', 'elsewhere', now() - interval '1 minute', false, 1)`,
      database,
    );
    const all = await use((connection) => others(connection, 0));
    const dead = present(
      all.find(({ node }) => node === 'gone'),
      'its session',
    );
    const vanished = await server.session(database);
    await vanished.query('BEGIN; SELECT 1 FROM majordomo.broker FOR KEY SHARE');
    expect(await use((connection) => endSession(connection, dead))).toBe(false);
    await vanished.query('ROLLBACK');
    expect(await use((connection) => endSession(connection, dead))).toBe(true);
    await vanished.end();
    await persistent.close();
  });

  it('a connection that is being made while it is closed is closed, too', async () => {
    const database = await server.database();
    const persistent = connectionTo(database);
    const using = persistent.use(PROCESS_CLOCK.now() + 10_000, (connection) =>
      connection.ask('SELECT 1'),
    );
    await Promise.all([expect(using).rejects.toThrow('closed'), persistent.close()]);
    const connected = `SELECT 1 FROM pg_stat_activity WHERE datname = '${database}'`;
    await until(async () => (await server.sql(connected)).length === 0, 'no connection is left');
    const after = persistent.use(PROCESS_CLOCK.now() + 10_000, (connection) =>
      connection.ask('SELECT 1'),
    );
    await expect(after).rejects.toThrow('closed');
  });

  it.each([
    { what: 'that ends while it is checked is made once more', times: 2, ends: true },
    { what: 'that its check refuses is not', times: 1, ends: false },
  ])('a connection $what', async ({ times, ends }) => {
    let checked = 0;
    const persistent = connectionTo(await server.database(), async (connection) => {
      checked++;
      if (!ends) throw new Error('a former primary');
      const [[pid] = []] = await connection.ask('SELECT pg_backend_pid()');
      await server.sql(`SELECT pg_terminate_backend(${Number(pid)})`);
      await until(() => !connection.isOpen, 'the end of the connection');
      await connection.ask('SELECT 1');
    });
    const tried = await persistent.try(PROCESS_CLOCK.now() + 10_000, async () => undefined);
    expect(tried).toMatchObject({ isSent: false, reason: 'connection' });
    expect(checked).toBe(times);
    await persistent.close();
  });

  it('a connection whose check may not read a table says so, and not that it may not be made', async () => {
    const database = await server.database();
    const persistent = connectionTo(database, async (connection) => {
      await connection.ask('CREATE TABLE public.closed (a int)');
      await connection.ask('SET ROLE poor');
      await connection.ask('SELECT a FROM public.closed');
    });
    const tried = await persistent.try(PROCESS_CLOCK.now() + 10_000, async () => undefined);
    const text = 'error' in tried ? messageOf(tried.error) : '';
    expect(text).toMatch(/permission denied for table closed \(42501\)$/);
    await persistent.close();
  });

  it('work that fails in its transaction leaves no connection that refuses all that follows', async () => {
    const persistent = connectionTo(await server.database());
    const use = async (...texts: readonly string[]): Promise<unknown> =>
      await persistent.use(PROCESS_CLOCK.now() + 10_000, async (connection) => {
        let rows: unknown = null;
        for (const text of texts) rows = await connection.ask(text);
        return rows;
      });
    // An error after which nothing is tried again.
    await expect(use('BEGIN', "SELECT 'x'::int")).rejects.toThrow('invalid input syntax');
    expect(await use('SELECT 1')).toEqual([[1]]);
    await persistent.close();
  });
});
