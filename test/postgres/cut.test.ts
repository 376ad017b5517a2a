/** The network between a broker and its database is cut while a batch is on its way. */
import type { Client } from '../../src/sdk/client.js';
import { ask, clientOf, endAll, serve, upper } from '../support/daemon-users.js';
import { type Daemon, startDaemon } from '../support/daemon.js';
import { Cluster } from '../support/postgres-cluster.js';
import { describeWithPostgres } from '../support/postgres.js';
import { TcpRelay } from '../support/tcp-relay.js';
import { until } from '../support/until.js';

/** Requests at once: more than two batches take. */
const WAITING = 1500;

describeWithPostgres('a cut between a broker and its database', () => {
  let server: Cluster;
  let relay: TcpRelay;
  let database: string;

  beforeAll(async () => {
    server = await Cluster.make();
  });

  afterEach(endAll);

  afterAll(async () => {
    await server.remove();
  });

  async function begin(
    timeoutMs: number,
    leaseMs = 60_000,
  ): Promise<{ daemon: Daemon; client: Client }> {
    relay = await new TcpRelay(server.port).listen();
    database = await server.database();
    const url = `postgresql://postgres@127.0.0.1:${relay.port}/${database}`;
    const daemon = await startDaemon({
      sets: [
        ...[`titanic.store=${url}`, `titanic.storeTimeoutMs=${timeoutMs}`],
        ...[`fleet.leaseMs=${leaseMs}`],
      ],
    });
    const client = clientOf(daemon);
    // From now on no statement has to be prepared.
    expect(await ask(client, 'titanic.request', 'kept', 'first')).toHaveLength(2);
    return { daemon, client };
  }

  /** Asks again while the database of a busy machine takes longer than the broker waits. */
  async function told300or400(client: Client, uuid: string): Promise<string> {
    let told = '';
    await until(async () => {
      [told = ''] = await ask(client, 'titanic.reply', uuid);
      return told === '300' || told.startsWith('400');
    }, 'an answer');
    return told;
  }

  async function stored(): Promise<number> {
    const [row] = await server.sql('SELECT count(*)::int AS n FROM majordomo.request', database);
    return Number(row?.['n']);
  }

  /** Whether the server has a connection that comes from this port. */
  async function isConnected(port: number): Promise<boolean> {
    const rows = await server.sql(
      `SELECT pid FROM pg_stat_activity WHERE datname = '${database}' AND client_port = ${port}`,
      database,
    );
    return rows.length > 0;
  }

  /** Of the batch with this text, and from then on, the server's answers wait. */
  function holdAnswersTo(text: string): void {
    relay.tap = {
      connected: () => undefined,
      fromServer: () => undefined,
      // This is called before the bytes are passed on.
      fromClient: (chunk) => {
        if (!chunk.includes(text)) return;
        relay.tap = null;
        relay.set('toServer');
      },
    };
  }

  const cuts: readonly [string, () => Promise<void>][] = [
    [
      'after the commit and before its answer',
      async () => {
        holdAnswersTo('second');
        await until(async () => (await stored()) === 2, 'the commit');
        relay.set('reset');
        relay.set('open');
      },
    ],
    [
      'before the batch arrives',
      async () => {
        await new Promise<void>((resolve) => {
          relay.tap = {
            connected: () => undefined,
            fromServer: () => undefined,
            fromClient: () => {
              relay.tap = null;
              relay.set('reset');
              relay.set('open');
              resolve();
            },
          };
        });
      },
    ],
  ];
  it.each(cuts)('%s: the batch is sent again, 200, and one row', async (_title, cut) => {
    const { client, daemon } = await begin(30_000);
    const isCut = cut();
    const answer = ask(client, 'titanic.request', 'kept', 'second');
    await isCut;
    const [status, uuid = ''] = await answer;
    expect(status).toBe('200');
    expect(await stored()).toBe(2);
    expect((await ask(client, 'titanic.reply', uuid))[0]).toBe('300');
    expect(daemon.logged('store.failed')).toEqual([]);
    const seen = serve(daemon, 'kept', upper);
    await until(async () => (await ask(client, 'titanic.reply', uuid))[0] === '200', 'its reply');
    // A claim that was under way at the cut is made anew, which takes longer.
    await until(() => seen.length >= 2, 'the first one, too');
    expect([...seen].sort()).toEqual(['first', 'second']);
  });

  it('for longer than the time for it: 500 outcome unknown; it was kept, is served, and a resend is harmless', async () => {
    const { client, daemon } = await begin(3000);
    const options = JSON.stringify({ key: 'order-17' });
    const submit = async (): Promise<string[]> =>
      ask(client, 'titanic.submit', options, 'upper', 'hello');
    // Not before: a broker on a busy machine would notice the cut before the request comes.
    holdAnswersTo('hello');
    const answer = submit();
    await until(async () => (await stored()) === 2, 'the commit');
    relay.set('reset');
    expect((await answer)[0]).toMatch(/^500 outcome unknown/);
    relay.set('open');
    await daemon.waitFor('store.returned');
    // Nothing is stored meanwhile: the broker finds out by itself that it has the request.
    const seen = serve(daemon, 'upper', upper);
    await until(() => seen.length > 0, 'it is served');
    const [status, uuid = ''] = await submit();
    expect(status).toBe('200');
    expect(await stored()).toBe(2);
    await until(async () => {
      const [replied, reply] = await ask(client, 'titanic.reply', uuid);
      return replied === '200' && reply === 'HELLO';
    }, 'its reply');
    expect(seen).toEqual(['hello']);
  });

  it('for longer than its lease: all that waits is answered meanwhile; what was told to fail is not stored', async () => {
    const { client, daemon } = await begin(1000, 3000);
    relay.set('frozen');
    const asked = Array.from({ length: WAITING }, (_, n) =>
      ask(client, 'titanic.request', 'kept', `waits ${n}`),
    );
    const answers = await Promise.all(asked);
    expect(answers.filter(([status = '']) => !status.startsWith('500 '))).toEqual([]);
    const unknown = answers.filter(([status = '']) => status.startsWith('500 outcome unknown'));
    // More than the batches that the store takes at a time waited for it.
    expect(unknown.length).toBeLessThan(WAITING);
    await daemon.waitFor('store.lost');
    relay.set('open');
    await until(
      async () => (await ask(client, 'titanic.request', 'kept', 'next'))[0] === '200',
      'the next request is stored',
    );
    expect(await stored()).toBeLessThanOrEqual(2 + unknown.length);
    // Whoever was not told can ask.
    const told = await Promise.all(unknown.map(([, uuid = '']) => told300or400(client, uuid)));
    expect(told.filter((status) => status === '300')).toHaveLength((await stored()) - 2);
  });

  it('a batch that arrives after its connection was given up changes nothing', async () => {
    const { client } = await begin(1500);
    const held = relay.hold('too late');
    const [status = ''] = await ask(client, 'titanic.request', 'kept', 'too late');
    expect(status).toMatch(/^500 outcome unknown/);
    const port = await held;
    expect(await isConnected(port)).toBe(true);
    // Over another connection, and nothing is in doubt any more.
    await until(
      async () => (await ask(client, 'titanic.request', 'kept', 'next')).length === 2,
      'the next request is stored',
    );
    relay.deliver();
    await until(async () => !(await isConnected(port)), 'the end of the first connection');
    expect(await stored()).toBe(2);
  });

  it('a broker that is stopped meanwhile ends, though nobody answers', async () => {
    const { daemon } = await begin(3000);
    relay.set('frozen');
    expect((await daemon.stop()).status).toBe(0);
  });
});
