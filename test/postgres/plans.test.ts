import { present } from '../../src/core/assert.js';
import { databaseAddressOf } from '../../src/core/postgres-url.js';
import { Batch, type Sending } from '../../src/extensions/postgres/changes.js';
import type { Connection } from '../../src/extensions/postgres/connection.js';
import { PROCESS_CLOCK } from '../../src/extensions/postgres/clock.js';
import { connect } from '../../src/extensions/postgres/connect.js';
import { Fence } from '../../src/extensions/postgres/fence.js';
import { UNCLAIMED } from '../../src/extensions/postgres/looks.js';
import { migrate } from '../../src/extensions/postgres/migrate.js';
import { CLAIMED_OF, LIST_KEPT, LOAD, LOOK_UP, PART } from '../../src/extensions/postgres/reads.js';
import { tablesOver } from '../../src/extensions/postgres/sql-tables.js';
import type { Made } from '../../src/extensions/postgres/tables.js';
import { RowLocks } from '../../src/extensions/postgres/row-locks.js';
import { SCHEMA } from '../../src/extensions/postgres/schema.js';
import {
  fenceValue,
  FREE,
  NEW_FENCING_TOKEN,
  leave,
  take,
} from '../../src/extensions/postgres/session.js';
import {
  ACCEPT,
  ACCEPT_KEYED,
  ACCEPT_MISSING,
  ATTEMPTED,
  CLAIM,
  CLAIM_TURNS,
  DIED,
  END,
  FREE_UNKNOWN,
  LOCK,
  RELEASE,
  REPLY,
  RETRY,
  SWEEP,
  WAKE,
} from '../../src/extensions/postgres/statements.js';
import type { Change } from '../../src/store/store.js';
import {
  byteas,
  int4s,
  int8s,
  numbers as numberTable,
  uuids,
} from '../../src/extensions/postgres/values.js';
import { Cluster } from '../support/postgres-cluster.js';
import { describeWithPostgres } from '../support/postgres.js';
import {
  accept,
  advance,
  attempt,
  close,
  dead,
  reply,
  retry,
  uuidOf,
} from '../support/store-changes.js';
import { until } from '../support/until.js';

const STATEMENTS = [
  ...[ACCEPT, ACCEPT_KEYED, ACCEPT_MISSING, ATTEMPTED, DIED, END, REPLY, RETRY, SWEEP, LOCK],
  ...[
    CLAIM,
    CLAIM_TURNS,
    RELEASE,
    FREE_UNKNOWN,
    WAKE,
    FREE,
    LIST_KEPT,
    CLAIMED_OF,
    LOAD,
    LOOK_UP,
    PART,
  ],
  UNCLAIMED,
];
const SCAN = /Seq Scan on (request|body|attempt|key)\b/;
const INDEX_SCAN = /Index (?:Only )?Scan using (\w+) on (?:request|body|attempt|key)\b/;
/** The first column of each index: below a scan that reads a part only, a condition begins with it. */
const FIRST_COLUMNS: Readonly<Record<string, string>> = {
  ...{ request_pkey: 'id', body_pkey: 'id', attempt_pkey: 'id', key_pkey: 'service' },
  ...{
    request_claimable: 'service',
    request_turns: 'service',
    request_claimed: 'session',
    request_delayed: 'not_before',
  },
  ...{ request_listed: 'seq', request_expiry: 'expires_at', request_dead: 'id' },
  ...{ key_remembered: 'until' },
};
const ROWS = 20_000;
const ROUNDS = 20;

describeWithPostgres('statements on a database', () => {
  let server: Cluster;
  let database: string;
  let session: number;
  const connections: Connection[] = [];

  async function connection(to = database): Promise<Connection> {
    const address = databaseAddressOf(server.url(to));
    if (typeof address === 'string') throw new Error(address);
    const opened = await connect(
      { address, passwordFile: null, isLoopback: true },
      { hostIndex: 0 },
      10_000,
    );
    connections.push(opened.connection);
    return opened.connection;
  }

  beforeAll(async () => {
    server = await Cluster.make(["autovacuum = 'off'"]);
    database = await server.database();
    const first = await connection();
    await migrate(first, { user: 'postgres', database });
    const claimant = { node: 'test', directoryId: Buffer.alloc(16), leaseMs: 600_000 };
    ({ session } = await take(first, claimant, 0));
  });

  afterAll(async () => {
    await Promise.all(connections.map((each) => each.close()));
    await server.remove();
  });

  /** Commits one batch whose changes are of one kind. */
  async function commit(on: Connection, changes: readonly Change[]): Promise<Batch> {
    const batch = new Batch(changes, fenceValue(session, 0), 'first');
    const [order, ...more] = batch.orders();
    expect(more).toEqual([]);
    const { statement, values, settle } = present(order, 'a statement');
    settle(await on.run(statement, values));
    expect(batch.isFenced).toBe(true);
    return batch;
  }

  it('prepared on empty tables, none scans a table that has been filled since', async () => {
    const on = await connection();
    for (const { name, text } of STATEMENTS) await on.ask(`PREPARE p_${name} AS ${text}`);
    expect(await wholeReads(on)).toEqual([]);
    await eachStatement(on, 0);
    await fill();
    expect(await wholeReads(on)).toEqual([]);
    // Whole tables read in another way would be seen here: rows, or entries of indexes.
    expect(await readBy(on, () => eachStatement(on, 1))).toBeLessThan(ROWS / 4);
  });

  it('planned after VACUUM found the tables empty, none reads a whole index later', async () => {
    const on = await connection();
    await fill();
    await eachStatement(on, 2);
    for (const table of ['request', 'body', 'key', 'attempt']) {
      await server.sql(`DELETE FROM ${SCHEMA}.${table}`, database);
      await server.sql(`VACUUM ${SCHEMA}.${table}`, database);
    }
    // The plans are made here, and kept.
    for (const { name, text } of STATEMENTS) await on.ask(`PREPARE p_${name} AS ${text}`);
    expect(await wholeReads(on)).toEqual([]);
    await eachStatement(on, 3);
    await fill();
    const reads: Record<string, number> = {};
    await eachStatement(on, 4, async (name, use) => {
      reads[name] = Math.max(reads[name] ?? 0, await readBy(on, use));
    });
    expect(Object.entries(reads).filter(([, count]) => count >= ROWS / 20)).toEqual([]);
  });

  /** The scans in the plans of the prepared statements that read a whole table or index. */
  async function wholeReads(on: Connection): Promise<string[]> {
    const found: string[] = [];
    for (const { name, text } of STATEMENTS) {
      const count = Math.max(0, ...[...text.matchAll(/\$(\d+)/g)].map(([, n]) => Number(n)));
      const nulls = Array.from({ length: count }, () => 'NULL').join(', ');
      const rows = await on.ask(`EXPLAIN EXECUTE p_${name}${count === 0 ? '' : ` (${nulls})`}`);
      const lines = rows.map(([line]) => String(line).trim());
      for (const [at, line] of lines.entries()) {
        const [, index] = INDEX_SCAN.exec(line) ?? [];
        const next = lines[at + 1] ?? '';
        const isPart = (first: string): boolean =>
          next.replace('((', '(').startsWith(`Index Cond: (${first} `);
        const isWhole = index === undefined ? SCAN.test(line) : !isPart(FIRST_COLUMNS[index] ?? '');
        if (isWhole) found.push(`${name}: ${line} ${next}`);
      }
    }
    return found;
  }

  /** Stores requests of all states, with bodies, replies or reasons, keys and attempts. */
  async function fill(): Promise<void> {
    await server.sql(
      `INSERT INTO ${SCHEMA}.request (id, seq, service, owner, shared, priority, state, generation,
         attempts, attempts_ever, max_attempts, accepted_at, not_before, expires_at, body_bytes,
         reply_bytes, kind, partner, own, outcome, outcome_at)
       SELECT gen_random_uuid(), n, 'x', '', false, 0, 1 + n % 3, 0,
         0, 0, 10, 0, 0, 1e15, 1, 0, 0, '', '', 0, 0 FROM generate_series(1, ${ROWS}) n;
       INSERT INTO ${SCHEMA}.body SELECT id, 1, 'x' FROM ${SCHEMA}.request ON CONFLICT DO NOTHING;
       INSERT INTO ${SCHEMA}.body SELECT id, state, 'x' FROM ${SCHEMA}.request
         ON CONFLICT DO NOTHING;
       INSERT INTO ${SCHEMA}.key SELECT service, decode(id::text, 'escape'), owner, id, false, 0, NULL
         FROM ${SCHEMA}.request ON CONFLICT DO NOTHING;
       INSERT INTO ${SCHEMA}.attempt SELECT id, 1, '', 0, 0, '', NULL, NULL FROM ${SCHEMA}.request
         ON CONFLICT DO NOTHING`,
      database,
    );
  }

  /** How many rows of tables, and entries of indexes, `use` has read. */
  async function readBy(on: Connection, use: () => Promise<void>): Promise<number> {
    const before = await readCount(on);
    await use();
    return (await readCount(on)) - before;
  }

  /** How many rows of tables, and entries of indexes, all statements so far have read. */
  async function readCount(on: Connection): Promise<number> {
    await on.ask('SELECT pg_stat_force_next_flush()');
    await on.ask('SELECT 1');
    const [row] = await server.sql(
      `SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE schemaname = '${SCHEMA}')::int
        + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE schemaname = '${SCHEMA}')::int
        AS count`,
      database,
    );
    return Number(row?.['count']);
  }

  /**
   * Uses every statement of the write path on ten requests.
   * @param half numbers of its own
   * @param observed called with each step
   */
  async function eachStatement(
    on: Connection,
    half: number,
    observed = async (_name: string, use: () => Promise<void>): Promise<void> => await use(),
  ): Promise<void> {
    const first = 1000 * half;
    const numbers = Array.from({ length: 10 }, (_, at) => first + at);
    const keyed = numbers.map((n) => n + 500);
    const ids = uuids(numbers.map((n) => uuidOf(n)));
    const places = int4s(numbers);
    const committed = async (change: (n: number) => Change, of = numbers): Promise<void> => {
      const { kind } = change(0);
      await observed(kind, async () => {
        await commit(on, of.map(change));
      });
    };
    await committed((n) => accept(n, { notBefore: 0 }));
    await committed((n) => accept(n, { key: `k${n}`, notBefore: 0 }), keyed);
    await observed('claim', async () => {
      const claimed = await on.run(CLAIM, [
        fenceValue(session, 0),
        byteas([Buffer.from('echo')]),
        int8s([20]),
        int4s([0]),
      ]);
      expect(claimed).toHaveLength(20);
    });
    await observed('load', async () => expect(await on.run(LOAD, [places, ids])).toHaveLength(10));
    await observed('part', async () => {
      for (const n of numbers) expect(await on.run(PART, [uuidOf(n), 1, 0, 1])).toHaveLength(1);
    });
    await observed('claimed of', async () => {
      await on.run(CLAIMED_OF, [ids, session]);
    });
    await observed('release', async () => {
      const released = numberTable(numbers.map((n) => [n]));
      await on.run(RELEASE, [fenceValue(session, 0), released, ids, int4s(numbers.map(() => 2))]);
    });
    for (const step of [
      (n: number) => attempt(n, 1),
      (n: number) => advance(n, 2),
      dead,
      (n: number) => retry(n),
      (n: number) => reply(n, { generation: 1 }),
      // A second one of the same generation is compared with the first.
      (n: number) => reply(n, { generation: 1, reply: Buffer.from('second') }),
    ]) {
      await committed((n) => step(n));
      await observed('look up', async () => {
        const found = await on.run(LOOK_UP, [places, ids, int8s(numbers.map(() => 1000))]);
        expect(found).toHaveLength(10);
      });
    }
    await observed('locked', async () => {
      const asked = numbers.map((n) => uuidOf(n));
      expect(
        await new RowLocks(PROCESS_CLOCK, 0, () => undefined).among(tablesOver(on), asked),
      ).toEqual([]);
    });
    await committed((n) => close(n, 0), [...numbers, ...keyed]);
    for (const [statement, values] of [
      [WAKE, [1000]],
      [FREE_UNKNOWN, [fenceValue(session, 0), ids, int4s(numbers.map(() => 2))]],
      [FREE, []],
    ] as const) {
      await observed(statement.name, async () => {
        await on.run(statement, values);
      });
    }
    await observed('sweep', async () => {
      await commit(on, [{ kind: 'sweep', now: 0, keyUntil: 0, most: 10, kinds: 0 }]);
    });
  }

  it('two writers with the same requests, or keys, in opposite order: no deadlock', async () => {
    const [one, other] = [await connection(), await connection()];
    const numbers = Array.from({ length: 200 }, (_, at) => at + 1);
    const opposite = [...numbers].reverse();
    const byKey = (n: number, half: number): Change =>
      accept(10_000 * half + n, { key: `both ${n}` });
    let won = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const [first, second] = await Promise.all([
        commit(
          one,
          numbers.map((n) => byKey(n, 1)),
        ),
        commit(
          other,
          opposite.map((n) => byKey(n, 2)),
        ),
      ]);
      // Each key leads to one request: the other writer's, or one that it still has to ask for.
      const done = [first, second].flatMap(({ results }) =>
        results.filter((r) => r.kind === 'done'),
      );
      expect(done).toHaveLength(numbers.length);
      await commit(
        one,
        numbers.map((n) => accept(n)),
      );
      const replies = await Promise.all([
        commit(
          one,
          numbers.map((n) => reply(n)),
        ),
        commit(
          other,
          opposite.map((n) => reply(n)),
        ),
      ]);
      won += replies.flatMap(({ results }) => results).filter((r) => r.kind === 'done').length;
      await commit(
        one,
        numbers.map((n) => close(n)),
      );
      await commit(
        one,
        numbers.flatMap((n) => [close(10_000 + n, 0), close(20_000 + n, 0)]),
      );
    }
    expect(won).toBe(ROUNDS * numbers.length);
  });

  it('two writers with changes of several kinds, in opposite order: no deadlock', async () => {
    const [one, other] = [await connection(), await connection()];
    const numbers = Array.from({ length: 100 }, (_, at) => at + 1);
    const opposite = [...numbers].reverse();
    // Each request is replied to by one writer, and dies or is closed by the other.
    const ways = [reply, close, dead] as const;
    const mixed = (shift: number) => (n: number) => present(ways[(n + shift) % 3], 'a way')(n);
    for (let round = 0; round < ROUNDS; round++) {
      await commit(
        one,
        numbers.map((n) => accept(n)),
      );
      // The server ends one of two that wait for each other: `send` throws.
      await Promise.all([send(one, numbers.map(mixed(0))), send(other, opposite.map(mixed(1)))]);
      await commit(
        one,
        numbers.map((n) => close(n)),
      );
    }
  });

  it('two writers, one with requests that are sent again with their keys: no deadlock', async () => {
    const [one, other] = [await connection(), await connection()];
    const numbers = Array.from({ length: 100 }, (_, at) => 60_000 + at);
    const keyed = (n: number): Change => accept(n, { key: `known ${n}` });
    await commit(one, numbers.map(keyed));
    const half = numbers.length / 2;
    const [low, high] = [numbers.slice(0, half), numbers.slice(half)];
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all([
        send(one, [...low.map(keyed), ...high.map((n) => attempt(n, round + 1))]),
        send(
          other,
          numbers.map((n) => attempt(n, round + 1)),
        ),
      ]);
    }
    await commit(
      one,
      numbers.map((n) => close(n, 0)),
    );
  });

  it('two writers that repeat keys, in opposite order: no deadlock, and one request for each', async () => {
    const [one, other] = [await connection(), await connection()];
    const keys = Array.from({ length: 8 }, (_, at) => `again ${at}`);
    const batchOf = (round: number, half: number): Change[] => {
      const order = half === 1 ? keys : [...keys].reverse();
      return [...order, ...order, ...order].map((key, at) =>
        accept(100_000 + 1000 * round + 100 * half + at, {
          key: `${round} ${key}`,
          service: Buffer.from('keyed'),
        }),
      );
    };
    for (let round = 0; round < ROUNDS; round++) {
      const batches = [batchOf(round, 1), batchOf(round, 2)] as const;
      const [first, second] = await Promise.all([send(one, batches[0]), send(other, batches[1])]);
      const added = [first, second].flatMap(({ results }) =>
        results.filter(({ kind }) => kind === 'done'),
      );
      expect(added).toHaveLength(keys.length);
      for (const batch of [first, second]) {
        const known = batch.results.filter(({ kind }) => kind === 'known').length;
        const done = batch.results.filter(({ kind }) => kind === 'done').length;
        expect(known + done + batch.postponed.length).toBe(3 * keys.length);
      }
    }
  });

  /** Commits one batch in a transaction. */
  async function send(
    on: Connection,
    changes: readonly Change[],
    sending: Sending = 'first',
    fence = new Fence(session),
  ): Promise<Made> {
    const tables = tablesOver(on);
    return await fence.pass(tables, (value) => tables.commit(value, changes, sending));
  }

  it('a batch that was committed without an answer, sent again, tells the same and changes nothing', async () => {
    const on = await connection();
    const n = 50_000;
    const batches: readonly (readonly Change[])[] = [
      [accept(n), accept(n + 1, { key: 'again' }), accept(n + 2)],
      [attempt(n, 1), reply(n + 1), dead(n + 2)],
      [retry(n + 2), reply(n)],
    ];
    for (const changes of batches) {
      const first = await send(on, changes);
      const again = await send(on, changes, 'again');
      expect(again.results).toEqual(first.results);
      expect(first.results.every(({ kind }) => kind === 'done' || kind === 'reopened')).toBe(true);
      expect(again.deltas).toEqual([]);
      // Not sent again, but asked for the first time by somebody else: it is passed.
      const other = await send(on, changes, 'careful');
      expect(other.results.every(({ kind }) => kind === 'passed')).toBe(true);
    }
    await send(
      on,
      [0, 1, 2].map((more) => close(n + more, 0)),
    );
  });

  it('the fencing token is raised when all batches with the one before it have ended', async () => {
    const [one, other] = [await connection(), await connection()];
    const n = 51_000;
    for (const changes of [[attempt(n, 1)], [reply(n)], [dead(n + 1)]]) {
      await commit(one, [accept(n), accept(n + 1)]);
      const first = new Batch(changes, fenceValue(session, 0), 'first');
      await one.ask('BEGIN');
      for (const { statement, values } of first.orders()) await one.run(statement, values);
      const fence = new Fence(session);
      const again = fence.renew(tablesOver(other)).then(() => send(other, changes, 'again', fence));
      await until(async () => {
        const [row] = await server.sql(
          `SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE wait_event_type = 'Lock'`,
        );
        return row?.['waiting'] === 1;
      }, 'it waits for the first one');
      await one.ask('COMMIT');
      const { results, deltas } = await again;
      expect([results, deltas]).toEqual([[{ kind: 'done' }], []]);
      await server.sql(`UPDATE ${SCHEMA}.broker SET era = 0`, database);
      await commit(one, [close(n, 0), close(n + 1, 0)]);
    }
  });

  const ended: readonly [string, (on: Connection) => Promise<unknown>, string][] = [
    [
      'a session that is dead',
      () => server.sql(`UPDATE ${SCHEMA}.broker SET dead = true`, database),
      'dead = false',
    ],
    [
      'what was sent before the fencing token was raised',
      (on) => on.run(NEW_FENCING_TOKEN, [session]),
      'era = 0',
    ],
  ];
  it.each(ended)('%s changes nothing', async (_title, end, mended) => {
    const on = await connection();
    const fence = fenceValue(session, 0);
    await commit(on, [accept(1)]);
    await end(on);
    for (const change of [accept(2), accept(3, { key: 'x' }), reply(1), close(1)]) {
      const batch = new Batch([change], fence, 'first');
      for (const { statement, values, settle } of batch.orders()) {
        settle(await on.run(statement, values));
      }
      expect([change.kind, batch.isFenced]).toEqual([change.kind, false]);
    }
    const one = uuids([uuidOf(1)]);
    const claimed = await on.run(CLAIM, [
      fence,
      byteas([Buffer.from('echo')]),
      int8s([1]),
      int4s([0]),
    ]);
    expect([claimed.length, claimed[0]?.[0]]).toEqual([1, false]);
    await server.sql(`UPDATE ${SCHEMA}.request SET session = ${session}, claim = 2`, database);
    const released = [fence, numberTable([[0]]), one, int4s([2])];
    expect(await on.run(RELEASE, released)).toEqual([[false, null, null]]);
    expect(await on.run(FREE_UNKNOWN, [fence, uuids([]), int4s([])])).toEqual([
      [false, null, null],
    ]);
    const rows = await server.sql(
      `SELECT state, session::int AS session FROM ${SCHEMA}.request WHERE service = 'echo'`,
      database,
    );
    expect(rows).toEqual([{ state: 1, session }]);
    await server.sql(`UPDATE ${SCHEMA}.broker SET ${mended}`, database);
    await commit(on, [close(1, 0)]);
  });

  it('a session that is taken tells of those that have lasted within a time', async () => {
    const own = await server.database();
    const on = await connection(own);
    await migrate(on, { user: 'postgres', database: own });
    const taken = async (byte: number, withinMs: number): ReturnType<typeof take> =>
      await take(on, { node: 'n', directoryId: Buffer.alloc(16, byte), leaseMs: 0 }, withinMs);
    const first = await taken(1, 0);
    const second = await taken(2, 0);
    for (const { session } of [first, second]) await leave(on, session);
    const third = await taken(3, 0);
    // It has ended, by its data directory.
    const fourth = await taken(3, 0);
    await leave(on, fourth.session);
    const fifth = await taken(4, 600_000);
    const used = [first, second, third, fourth, fifth].map(({ wasUsed }) => wasUsed);
    expect(used).toEqual([false, true, false, true, true]);
  });
});
