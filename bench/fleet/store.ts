/**
 * Durable requests in PostgreSQL against a store file, through the port that both implement, in
 * interleaved rounds. The file is used by one process; the database by one or two brokers' stores,
 * with its server on the same machine and disk.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { Cluster, clusterWithStandby, postgresBin } from '../../test/support/postgres-cluster.js';
import { present } from '../../src/core/assert.js';
import { missedText, table, times, verdictOf, whole } from '../markdown.js';
import { median, type Ratio, ratioOf } from '../measure.js';
import { BODY_BYTES } from '../store/requests.js';
import type { FleetBench } from './part.js';
import { StoreDriver } from './store-driver.js';
import {
  accepting,
  arriving,
  claiming,
  COMPILE_SECONDS,
  compiled,
  cycling,
  reading,
  SERVICE,
  stocked,
  WARMUP_SECONDS,
} from './store-work.js';

const ROWS = [1, 16, 64, 256] as const;
const ACCEPT_MIN = [0.45, 0.6, 0.6, 0.55];
const CLAIM_MIN = [0.25, 0.4, 0.5, 0.6];
const STANDBY_MIN = 0.5;
const MANY_ROWS = 64;
const CYCLE_ROWS = 64;
const ARRIVALS_PER_SECOND = 5000;
const ARRIVAL_P50_MAX = 2;
/** Requests stored for a second of claiming, by rows of a batch: more than can be claimed. */
const WAITING_PER_SECOND = [2000, 15_000, 25_000, 35_000];
const ANOTHER_PROCESS =
  'PostgreSQL is another process on the same cores: each row passes a socket and its executor, and the larger the batch, the more that counts beside the sync, which both wait for. A server with cores of its own would meet it.';
const TWO_SYNCS =
  'A commit waits for two syncs of one disk in a row, that of the server and that of its standby. A standby with a disk of its own would meet it.';
const HINTS = 200;
const HINT_PAUSE_MS = 5;
/** As a server that has some memory, and no checkpoint within a measurement. */
const SETTINGS = ['shared_buffers = 512MB', 'max_wal_size = 8GB', 'checkpoint_timeout = 1h'];

/** A ratio and what it is to be. */
interface Line {
  readonly what: string;
  readonly file: readonly number[];
  readonly database: readonly number[];
  /** At least, or at most; `null`: only reported. */
  readonly target: { readonly min: number } | { readonly max: number } | null;
  readonly unit: '/s' | ' ms';
}

export async function inStore(bench: FleetBench): Promise<string> {
  if (postgresBin() === null) return '## Durable requests\n\nNot measured: no PostgreSQL.';
  const cluster = await Cluster.make(SETTINGS);
  try {
    const lines = [
      ...(await acceptLines(bench, cluster)),
      ...(await claimLines(bench, cluster)),
      ...(await cycleLines(bench, cluster)),
      ...(await arrivalLines(bench, cluster)),
    ];
    const hints = await hintLines(bench, cluster);
    await cluster.remove();
    return rendered(lines, hints, await standbyLines(bench));
  } finally {
    await cluster.remove();
  }
}

// ---------------------------------------------------------------- measuring

/** Stores for one measurement: each is empty, and it alone is used. */
async function fresh<Result>(
  count: number,
  open: () => Promise<StoreDriver>,
  use: (stores: readonly StoreDriver[]) => Promise<Result>,
): Promise<Result> {
  const stores: StoreDriver[] = [];
  try {
    while (stores.length < count) stores.push(await open());
    return await use(stores);
  } finally {
    await Promise.all(stores.map((store) => store.close()));
  }
}

async function withDatabase<Result>(
  cluster: Cluster,
  brokers: number,
  use: (stores: readonly StoreDriver[]) => Promise<Result>,
): Promise<Result> {
  const name = await cluster.database();
  const open = async (): Promise<StoreDriver> => await StoreDriver.ofDatabase(cluster.url(name));
  const result = await fresh(brokers, open, async (stores) => {
    await compiled(stores, 'claimed');
    // As the server does by itself every minute.
    await cluster.sql('VACUUM', name);
    return await use(stores);
  });
  await cluster.sql(`DROP DATABASE ${name} WITH (FORCE)`);
  await cluster.sql('CHECKPOINT');
  return result;
}

async function withFile<Result>(
  { directory }: FleetBench,
  use: (store: StoreDriver) => Promise<Result>,
): Promise<Result> {
  return await fresh(
    1,
    () => StoreDriver.ofFile(directory),
    async ([one]) => {
      const store = present(one, 'a store');
      await compiled([store], 'loaded');
      return await use(store);
    },
  );
}

/** Measures both alternately. */
async function compared(
  bench: FleetBench,
  what: string,
  [file, database]: readonly [() => Promise<number>, () => Promise<number>],
): Promise<{ readonly what: string; readonly file: number[]; readonly database: number[] }> {
  const line = { what, file: [] as number[], database: [] as number[] };
  for (let round = 1; round <= bench.rounds; round++) {
    bench.progress(`${what}: round ${round} of ${bench.rounds}`);
    line.file.push(await file());
    line.database.push(await database());
  }
  return line;
}

async function acceptLines(bench: FleetBench, cluster: Cluster): Promise<Line[]> {
  const { seconds } = bench;
  const lines: Line[] = [];
  for (const [at, rows] of ROWS.entries()) {
    const line = await compared(bench, `stored, batches of ${rows}`, [
      () => withFile(bench, (store) => accepting([store], rows, seconds)),
      () => withDatabase(cluster, 1, (stores) => accepting(stores, rows, seconds)),
    ]);
    lines.push({ ...line, unit: '/s', target: { min: ACCEPT_MIN[at] ?? NaN } });
  }
  const many = await compared(bench, `stored, two brokers, batches of ${MANY_ROWS}`, [
    () => withFile(bench, (store) => accepting([store], MANY_ROWS, seconds, 2)),
    () => withDatabase(cluster, 2, (stores) => accepting(stores, MANY_ROWS, seconds, 2)),
  ]);
  return [...lines, { ...many, unit: '/s', target: { min: 0.75 } }];
}

async function claimLines(bench: FleetBench, cluster: Cluster): Promise<Line[]> {
  const lines: Line[] = [];
  for (const [at, rows] of ROWS.entries()) {
    const count = Math.ceil((WAITING_PER_SECOND[at] ?? 0) * (WARMUP_SECONDS + bench.seconds));
    const line = await compared(bench, `claimed and replied, two brokers, batches of ${rows}`, [
      () =>
        withFile(bench, async (store) =>
          reading(store, await stocked(store, 2 * count), rows, bench.seconds),
        ),
      () =>
        withDatabase(cluster, 2, async (stores) => {
          await Promise.all(stores.map((store) => stocked(store, count)));
          return await claiming(stores, rows, bench.seconds);
        }),
    ]);
    lines.push({ ...line, unit: '/s', target: { min: CLAIM_MIN[at] ?? NaN } });
  }
  return lines;
}

async function cycleLines(bench: FleetBench, cluster: Cluster): Promise<Line[]> {
  const lines: Line[] = [];
  for (const [way, min] of [
    ['accepted claimed', 0.9],
    ['claimed', 0.45],
  ] as const) {
    const line = await compared(bench, `whole lives, ${way}, two brokers, batches of 64`, [
      () => withFile(bench, (store) => cycling([store], CYCLE_ROWS, bench.seconds, 'loaded')),
      () => withDatabase(cluster, 2, (stores) => cycling(stores, CYCLE_ROWS, bench.seconds, way)),
    ]);
    lines.push({ ...line, unit: '/s', target: { min } });
  }
  return lines;
}

async function arrivalLines(bench: FleetBench, cluster: Cluster): Promise<Line[]> {
  const p99 = { file: [] as number[], database: [] as number[] };
  const arrive = async (store: StoreDriver | undefined, into: number[]): Promise<number> => {
    if (store === undefined) return NaN;
    const sorted = await arriving(store, ARRIVALS_PER_SECOND, bench.seconds);
    into.push(quantile(sorted, 0.99));
    return quantile(sorted, 0.5);
  };
  const what = `${whole(ARRIVALS_PER_SECOND)} arrive a second`;
  const p50 = await compared(bench, `${what}: p50`, [
    () => withFile(bench, (store) => arrive(store, p99.file)),
    () => withDatabase(cluster, 1, ([store]) => arrive(store, p99.database)),
  ]);
  return [
    { ...p50, unit: ' ms', target: { max: ARRIVAL_P50_MAX } },
    { ...p99, what: `${what}: p99`, unit: ' ms', target: null },
  ];
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

// ---------------------------------------------------------------- hints, standby

interface HintLine {
  readonly while: string;
  readonly p50: number;
  readonly p99: number;
}

/** How long a hint takes from one broker to another one by NOTIFY. */
async function hintLines(bench: FleetBench, cluster: Cluster): Promise<HintLine[]> {
  return await withDatabase(cluster, 2, async ([one, other]) => {
    if (one === undefined || other === undefined) return [];
    await knowEachOther(one, other);
    const measured = async (title: string, load: () => Promise<unknown>): Promise<HintLine> => {
      bench.progress(`hints: ${title}`);
      const [sorted] = await Promise.all([hintTimes(one, other), load()]);
      return { while: title, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) };
    };
    const seconds = (HINTS * HINT_PAUSE_MS) / 1000;
    return [
      await measured('idle', async () => {}),
      await measured('5,000 requests are stored a second', () =>
        arriving(one, ARRIVALS_PER_SECOND, seconds),
      ),
      await measured('as many as possible are stored', () =>
        accepting([one], MANY_ROWS, seconds, 2),
      ),
    ];
  });
}

/** A broker sends hints only when it knows of another one. */
async function knowEachOther(one: StoreDriver, other: StoreDriver): Promise<void> {
  const heard = new Promise<void>((resolve) => {
    other.heard = () => resolve();
  });
  const telling = setInterval(() => one.hint({ services: [SERVICE], ended: [] }), 100);
  await heard;
  clearInterval(telling);
  await sleep(500);
}

async function hintTimes(one: StoreDriver, other: StoreDriver): Promise<number[]> {
  const taken: number[] = [];
  for (let n = 0; n < HINTS; n++) {
    const began = performance.now();
    const heard = new Promise<void>((resolve) => {
      other.heard = () => resolve();
    });
    one.hint({ services: [SERVICE], ended: [] });
    await heard;
    taken.push(performance.now() - began);
    await sleep(HINT_PAUSE_MS);
  }
  return taken.sort((a, b) => a - b);
}

interface StandbyLine {
  readonly rows: number;
  readonly alone: readonly number[];
  readonly followed: readonly number[];
}

/** The same cluster, whose commits wait for its standby or not. */
async function standbyLines(bench: FleetBench): Promise<StandbyLine[]> {
  const { primary, standby } = await clusterWithStandby(SETTINGS);
  try {
    const lines: StandbyLine[] = [];
    const accept = async (rows: number): Promise<number> =>
      await withDatabase(primary, 1, (stores) => accepting(stores, rows, bench.seconds));
    for (const rows of ROWS) {
      const { file: alone, database: followed } = await compared(bench, `standby, ${rows} rows`, [
        async () => {
          await primary.configure({ synchronous_standby_names: '' });
          return await accept(rows);
        },
        async () => {
          await primary.configure({ synchronous_standby_names: 'second' });
          await primary.synchronous();
          return await accept(rows);
        },
      ]);
      lines.push({ rows, alone, followed });
    }
    return lines;
  } finally {
    await Promise.all([primary.remove(), standby.remove()]);
  }
}

// ---------------------------------------------------------------- the tables

function shown(ratio: Ratio): string {
  return `${times(ratio.median)} (${times(ratio.low)} – ${times(ratio.high)})`;
}

function isMet(ratio: Ratio, target: Line['target']): boolean {
  if (target === null) return true;
  return 'min' in target ? ratio.median >= target.min : ratio.median <= target.max;
}

function verdict(ratio: Ratio, target: Line['target']): string {
  if (target === null) return '';
  const bound = 'min' in target ? `≥ ${times(target.min)}` : `≤ ${times(target.max)}`;
  return `${bound}: ${verdictOf({ isMet: isMet(ratio, target) })}`;
}

function rendered(
  lines: readonly Line[],
  hints: readonly HintLine[],
  standby: readonly StandbyLine[],
): string {
  const amount = (values: readonly number[], unit: Line['unit']): string =>
    unit === '/s' ? `${whole(median(values))}/s` : `${median(values).toFixed(1)} ms`;
  const ms = (value: number): string => `${value.toFixed(2)} ms`;
  const judged = lines.map(({ what, file, database, target }) => ({
    about: what,
    isMet: isMet(ratioOf(database, file), target),
    why: ANOTHER_PROCESS,
  }));
  const followed = standby.map((line) => ({
    about: `batches of ${line.rows}`,
    isMet: isMet(ratioOf(line.followed, line.alone), { min: STANDBY_MIN }),
    why: TWO_SYNCS,
  }));
  return [
    '## Durable requests',
    `Requests and replies of ${BODY_BYTES} bytes, in PostgreSQL against a store file, through the same port. Batches follow each other without a pause.\nBefore each measurement the stores have worked at full load for ${COMPILE_SECONDS} s, because a store's thread compiles its code as it runs, and for ${WARMUP_SECONDS} s in the way that is measured. The server shares cores and disk with what measures it: compare ratios only.`,
    table(
      ['', 'file', 'PostgreSQL', 'ratio', 'target'],
      lines.map(({ what, file, database, target, unit }) => {
        const ratio = ratioOf(database, file);
        const cells = [what, amount(file, unit), amount(database, unit)];
        return [...cells, shown(ratio), verdict(ratio, target)];
      }),
    ),
    ...missedText(judged),
    'Stored in one batch after the other, while commits wait for a synchronous standby on the same machine and disk, and while they do not:',
    table(
      ['batches of', 'alone', 'with a standby', 'ratio', 'target'],
      standby.map(({ rows, alone, followed }) => {
        const ratio = ratioOf(followed, alone);
        const cells = [String(rows), amount(alone, '/s'), amount(followed, '/s')];
        return [...cells, shown(ratio), verdict(ratio, { min: STANDBY_MIN })];
      }),
    ),
    ...missedText(followed),
    'From one broker to another by NOTIFY:',
    table(
      ['while', 'p50', 'p99'],
      hints.map((line) => [line.while, ms(line.p50), ms(line.p99)]),
    ),
  ].join('\n\n');
}
