/**
 * A database that a broker cannot use: whoever waits for the store is answered 500 before three times
 * `titanic.storeTimeoutMs` are over (D105), and nothing of it is left when the database is back.
 */
import { Client as Session } from 'pg';

import { messageOf } from '../../src/core/errors.js';
import type { Client } from '../../src/sdk/client.js';
import { ask, clientOf, endAll, serve, upper } from '../support/daemon-users.js';
import { type Daemon, startDaemon } from '../support/daemon.js';
import { LONG_TEST_MS } from '../support/patience.js';
import { Cluster } from '../support/postgres-cluster.js';
import { describeWithPostgres } from '../support/postgres.js';
import { until } from '../support/until.js';

/** What a busy machine stalls for is little against it. */
const TIMEOUT_MS = 4000;
/** Of those that the answers are promised in. */
const TIMES = 3;

describeWithPostgres('a database that a broker cannot use', () => {
  let server: Cluster;
  const held: Session[] = [];

  beforeAll(async () => {
    server = await Cluster.make();
    await server.sql('CREATE ROLE broker LOGIN; CREATE ROLE greedy LOGIN');
  });

  afterEach(async () => {
    await release();
    await endAll();
  });

  afterAll(() => server.remove());

  async function release(): Promise<void> {
    await Promise.all(held.splice(0).map((session) => session.end()));
  }

  /** Takes connections until the server gives none; its owner keeps a few. */
  async function takeSlots(): Promise<void> {
    for (;;) {
      const login = { host: '127.0.0.1', port: server.port, database: 'postgres' };
      const session = new Session({ ...login, user: 'greedy' });
      session.on('error', () => undefined);
      try {
        await session.connect();
      } catch {
        return;
      }
      held.push(session);
    }
  }

  async function cutOff(): Promise<void> {
    const ofBroker = "FROM pg_stat_activity WHERE usename = 'broker'";
    await server.sql(`SELECT pg_terminate_backend(pid) ${ofBroker}`);
  }

  /** Whether all places are those of others: one that a refused login has not given back yet would be free soon. */
  async function isCutOff(): Promise<boolean> {
    const [row] = await server.sql(
      `SELECT count(*) FILTER (WHERE coalesce(usename, 'broker') = 'broker') = 0
          AND count(*) >= current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int AS is_cut_off
        FROM pg_stat_activity WHERE backend_type = 'client backend'`,
    );
    return row?.['is_cut_off'] === true;
  }

  const readOnly = (database: string, isOn: boolean): Promise<unknown> =>
    server.sql(`ALTER DATABASE ${database} SET default_transaction_read_only = ${isOn}`);

  const TROUBLES: readonly {
    readonly what: string;
    /** How the broker names it in its log. */
    readonly told: RegExp;
    begins(database: string): Promise<void>;
    ends(database: string): Promise<unknown>;
  }[] = [
    {
      what: 'is read-only',
      told: /its transactions are read-only/,
      begins: async (database) => {
        await readOnly(database, true);
        await cutOff();
      },
      ends: (database) => readOnly(database, false),
    },
    {
      what: 'is away',
      // A connection may hear of it before another is refused.
      told: /connection refused|ECONNRESET|is shutting down/,
      begins: () => server.stop('immediate'),
      ends: () => server.start(),
    },
    {
      what: 'has no connection left',
      told: /\(53300\): each broker needs 6 connections/,
      begins: async () => {
        // The broker may be faster, or about to log in: then it is cut off once more.
        await until(async () => {
          await takeSlots();
          await cutOff();
          await takeSlots();
          return await isCutOff();
        }, 'the broker has no connection');
      },
      ends: release,
    },
  ];

  /**
   * Asks for everything at once. The broker itself counts the time: that long, a plain request waits
   * for a worker.
   */
  async function allAreRefused(client: Client, replied: string, pending: string): Promise<void> {
    const isOver = client.request('nobody', '').catch(messageOf);
    const asked = [
      ['titanic.reply', replied],
      ['titanic.reply', pending],
      ['titanic.wait', pending, '60000'],
      ['titanic.close', replied],
      ['titanic.request', 'upper', 'y'],
      ['titanic.submit', '{}', 'upper', 'y'],
      ['titanic.schedules', ''],
    ] as const;
    const answered: string[] = [];
    const answers = asked.map(async ([service, ...body]) => {
      const [status = ''] = await ask(client, service, ...body);
      answered.push(`${service} ${status.slice(0, 4)}`);
    });
    expect(await isOver).toContain('no worker served its service');
    expect(answered.sort()).toEqual(asked.map(([service]) => `${service} 500 `).sort());
    await Promise.all(answers);
  }

  it.each(TROUBLES)(
    'that $what: all who wait for the store are told so in time, also when the session has lapsed',
    async ({ told, begins, ends }) => {
      const database = await server.database();
      await server.sql(`GRANT CREATE ON DATABASE ${database} TO broker`);
      const daemon: Daemon = await startDaemon({
        sets: [
          ...[`titanic.store=${server.url(database, 'broker')}`, 'fleet.leaseMs=10000'],
          `titanic.storeTimeoutMs=${TIMEOUT_MS}`,
          `broker.requestTtlMs=${TIMES * TIMEOUT_MS}`,
        ],
      });
      serve(daemon, 'upper', upper);
      const client = clientOf(daemon);
      const store = async (service: string): Promise<string> => {
        const [status, uuid = ''] = await ask(client, 'titanic.request', service, 'x');
        expect(status).toBe('200');
        return uuid;
      };
      const [replied, pending] = [await store('upper'), await store('nobody')];
      expect(await ask(client, 'titanic.wait', replied, '60000')).toEqual(['200', 'X']);
      await begins(database);
      await allAreRefused(client, replied, pending);
      expect((await daemon.waitFor('store.lost'))['text']).toMatch(told);
      await allAreRefused(client, replied, pending);
      await ends(database);
      const reply = async (): Promise<string[]> => ask(client, 'titanic.reply', replied);
      await until(async () => (await reply())[0] === '200', 'the reply');
      expect(await reply()).toEqual(['200', 'X']);
      expect(await ask(client, 'titanic.reply', pending)).toEqual(['300']);
      expect(await store('upper')).not.toBe('');
    },
    LONG_TEST_MS,
  );
});
