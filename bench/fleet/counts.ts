/**
 * How the counts of a store in a database may be kept. A row for each service and state, changed by the
 * statement that stores requests, is locked until the transaction has ended, so that the brokers wait
 * for each other. Counting all requests again takes longer the more there are. Both are measured here.
 */
import { performance } from 'node:perf_hooks';

import { present } from '../../src/core/assert.js';
import { databaseAddressOf } from '../../src/core/postgres-url.js';
import { pauseAfter } from '../../src/extensions/postgres/recount.js';
import { Batch } from '../../src/extensions/postgres/changes.js';
import type { Connection } from '../../src/extensions/postgres/connection.js';
import { connect } from '../../src/extensions/postgres/connect.js';
import { count } from '../../src/extensions/postgres/reader.js';
import { NEWEST_READABLE, PENDING, SCHEMA } from '../../src/extensions/postgres/schema.js';
import { fenceValue } from '../../src/extensions/postgres/session.js';
import type { Statement } from '../../src/extensions/postgres/statements.js';
import { Cluster, postgresBin } from '../../test/support/postgres-cluster.js';
import { table, times, whole } from '../markdown.js';
import { median, ratioOf } from '../measure.js';
import type { FleetBench } from './part.js';
import { StoreDriver } from './store-driver.js';
import { acceptances, rate, WARMUP_SECONDS } from './store-work.js';

const BROKERS = 2;
const CONNECTIONS = 4;
const ROWS = 64;
const STORED = [10_000, 100_000, 1_000_000] as const;
const SERVICES = 20;
const CONNECT_MS = 10_000;
const SETTINGS = ['shared_buffers = 512MB', 'max_wal_size = 8GB', 'checkpoint_timeout = 1h'];

/** A scratch table, for this measurement only. */
const COUNTS = `CREATE TABLE ${SCHEMA}.counted (
  service bytea, state integer, requests bigint NOT NULL, bytes bigint NOT NULL,
  PRIMARY KEY (service, state)
)`;
/** Sorted, so that no two batches wait for each other. */
const COUNTING = `counted AS (
    INSERT INTO ${SCHEMA}.counted AS c (service, state, requests, bytes)
    SELECT i.service, ${PENDING}, count(*), sum(i.body_bytes) FROM input i, fence
    GROUP BY i.service ORDER BY i.service
    ON CONFLICT (service, state) DO UPDATE
      SET requests = c.requests + excluded.requests, bytes = c.bytes + excluded.bytes
  )`;
const FILL = `INSERT INTO ${SCHEMA}.request (id, seq, service, owner, shared, priority, state,
    generation, attempts, attempts_ever, max_attempts, accepted_at, not_before, expires_at,
    body_bytes, reply_bytes, kind, partner, own, outcome, outcome_at)
  SELECT gen_random_uuid(), n, convert_to('service ' || n % ${SERVICES}, 'UTF8'), 'anonymous'::bytea,
    false, 0, 1 + n % 3, 0, 0, 0, 10, 0, 0, 9007199254740991, 1024, 1024, 0, '', '', 0, 0`;

export async function counted(bench: FleetBench): Promise<string> {
  const title = '## Counts of durable requests';
  if (postgresBin() === null) return `${title}\n\nNot measured: no PostgreSQL.`;
  const cluster = await Cluster.make(SETTINGS);
  try {
    const accepted = await acceptedLines(bench, cluster);
    const counts = await countLines(bench, cluster);
    return [title, rendered(accepted, counts)].join('\n\n');
  } finally {
    await cluster.remove();
  }
}

// ---------------------------------------------------------------- a row that batches change

interface Accepted {
  readonly plain: readonly number[];
  readonly counting: readonly number[];
}

/** Measures both alternately; the first round only warms up. */
async function acceptedLines(bench: FleetBench, cluster: Cluster): Promise<Accepted> {
  const line = { plain: [] as number[], counting: [] as number[] };
  for (let round = 0; round <= bench.rounds; round++) {
    bench.progress(`counts: accepting, round ${round} of ${bench.rounds}`);
    const plain = await accepting(bench, cluster, (statement) => statement);
    const counting = await accepting(bench, cluster, withCounts);
    if (round === 0) continue;
    line.plain.push(plain);
    line.counting.push(counting);
  }
  return line;
}

/** The same statement, which also changes the rows of the counts. */
function withCounts({ name, text }: Statement): Statement {
  const end = text.lastIndexOf('\n  SELECT');
  return { name, text: `${text.slice(0, end)},\n  ${COUNTING}${text.slice(end)}` };
}

async function accepting(
  bench: FleetBench,
  cluster: Cluster,
  using: (statement: Statement) => Statement,
): Promise<number> {
  return await withStore(cluster, async (open, name) => {
    await cluster.sql(COUNTS, name);
    const sessions = await sessionsIn(cluster, name);
    const lanes: { readonly connection: Connection; readonly session: number }[] = [];
    while (lanes.length < CONNECTIONS) {
      const session = present(sessions[lanes.length % BROKERS], 'a session');
      lanes.push({ connection: await open(), session });
    }
    return await rate(bench.seconds, CONNECTIONS, async (at) => {
      const { connection, session } = present(lanes[at], 'a connection');
      const orders = new Batch(acceptances(ROWS), fenceValue(session, 0), 'first').orders();
      for (const { statement, values } of orders) {
        const [row] = await connection.run(using(statement), values);
        if (row?.[0] !== true) throw new Error('nothing was stored: the session has ended');
      }
      return ROWS;
    });
  });
}

/** Of brokers whose leases outlast the measurement. */
async function sessionsIn(cluster: Cluster, name: string): Promise<number[]> {
  const rows = await cluster.sql(
    `INSERT INTO ${SCHEMA}.broker (node, home, lease_until, dead, readable)
    SELECT 'bench', 'bench', now() + interval '1 day', false, ${NEWEST_READABLE} FROM generate_series(1, ${BROKERS})
    RETURNING session::integer`,
    name,
  );
  return rows.map(({ session }) => session as number);
}

/** A database with empty tables, and no broker. @param use is given connections as brokers make them */
async function withStore<Result>(
  cluster: Cluster,
  use: (open: () => Promise<Connection>, name: string) => Promise<Result>,
): Promise<Result> {
  const name = await cluster.database();
  const url = cluster.url(name);
  const address = databaseAddressOf(url);
  if (typeof address === 'string') throw new Error(address);
  await (await StoreDriver.ofDatabase(url)).close();
  const connections: Connection[] = [];
  const open = async (): Promise<Connection> => {
    const login = { address, passwordFile: null, isLoopback: true };
    const { connection } = await connect(login, { hostIndex: 0 }, CONNECT_MS);
    connections.push(connection);
    return connection;
  };
  try {
    return await use(open, name);
  } finally {
    await Promise.all(connections.map((connection) => connection.close()));
    await cluster.sql(`DROP DATABASE ${name} WITH (FORCE)`);
    await cluster.sql('CHECKPOINT');
  }
}

// ---------------------------------------------------------------- counting all

interface Counted {
  readonly stored: number;
  readonly tookMs: number;
}

async function countLines(bench: FleetBench, cluster: Cluster): Promise<Counted[]> {
  return await withStore(cluster, async (open, name) => {
    const connection = await open();
    const lines: Counted[] = [];
    let before = 0;
    for (const stored of STORED) {
      bench.progress(`counts: ${whole(stored)} requests are counted`);
      await cluster.sql(`${FILL} FROM generate_series(${before + 1}, ${stored}) AS n`, name);
      await cluster.sql(`VACUUM ANALYZE ${SCHEMA}.request`, name);
      before = stored;
      const took: number[] = [];
      // The first one only warms up.
      for (let round = 0; round <= bench.rounds; round++) {
        const began = performance.now();
        await count(connection);
        if (round > 0) took.push(performance.now() - began);
      }
      lines.push({ stored, tookMs: median(took) });
    }
    return lines;
  });
}

// ---------------------------------------------------------------- the tables

function rendered({ plain, counting }: Accepted, counts: readonly Counted[]): string {
  const ratio = ratioOf(counting, plain);
  const range = `${times(ratio.median)} (${times(ratio.low)} – ${times(ratio.high)})`;
  const rateOf = (values: readonly number[]): string => `${whole(median(values))}/s`;
  return [
    `Two ways to know how many requests the store holds for each service. First: the statement that stores a batch also changes a row for each service and state, in a table of their own. Such a row is locked until the transaction has ended, so batches for one service wait for each other. Batches of ${ROWS} requests for one service, over ${CONNECTIONS} connections (two brokers with two each), straight to the database, after a warm-up of ${WARMUP_SECONDS} s. No targets: reported.`,
    table(
      ['', 'stored', 'ratio'],
      [
        ['the statement as it is', rateOf(plain), ''],
        ['with a row for each service and state', rateOf(counting), range],
      ],
    ),
    `Second, what a broker does: it counts its own changes and, while other brokers use the store too, counts all requests again from time to time, on a connection of its own. Commits pause only while it takes its snapshot. The pause between two counts is long enough that one broker counts for at most 1 % of the time. Until the next count, it does not know the changes of the others. The server may count with several processes. ${SERVICES} services, three states, nothing else running:`,
    table(
      ['durable requests', 'one count', 'pause until the next', 'share of the time, each broker'],
      counts.map(({ stored, tookMs }) => {
        const pause = pauseAfter(tookMs);
        const share = (100 * tookMs) / (tookMs + pause);
        const shown = [`${tookMs.toFixed(1)} ms`, `${(pause / 1000).toFixed(1)} s`];
        return [whole(stored), ...shown, `${share.toFixed(2)} %`];
      }),
    ),
  ].join('\n\n');
}
