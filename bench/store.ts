/**
 * The store alone, against better-sqlite3 by itself in a thread with the same schema, batches and
 * settings, and searches in it: `npm run bench:store`, or some of `-- rates starts search`. Figures are
 * printed; only their ratios are meaningful.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';

import { openSqliteStore } from '../src/store/sqlite/sqlite-store.js';
import { Standalone } from '../src/bstar/replication/standalone.js';
import type { BatchOutcome } from '../src/titanic/machine/requests/replica.js';
import type {
  Change,
  ChangeResult,
  Completion,
  Store,
  StoredRequest,
  StoreFailure,
} from '../src/store/store.js';
import { openSqliteQueries } from '../src/store/sqlite/queries/sqlite-queries.js';
import { acceptOf, BODY_BYTES, deadOf, EXPIRES_AT, labelledAcceptOf } from './store/requests.js';
import { duringSearch, searchTimes } from './store/searches.js';

const ROUNDS = 5;
const SECONDS = 2;
const OUTSTANDING = [1, 64, 1000];
const MILLION = 1_000_000;
const MILLION_BATCH = 4096;
const COMMIT_REQUESTS = 64;

/** Durable acknowledgements per second, with this many requests in every batch. */
type Contender = (directory: string, outstanding: number) => Promise<number>;

function thrown({ message }: StoreFailure): never {
  throw new Error(message);
}

async function open(
  path: string,
): Promise<{ readonly store: Store; readonly pending: number; readonly committer: Standalone }> {
  const { store, recovered } = await openSqliteStore(path, {
    isNewStore: false,
    isPaired: false,
    news: () => {},
  })({ arrived: () => {}, fatal: thrown, counted: () => {}, tombstones: () => {} });
  let pending = 0;
  await new Promise<void>((resolve) => {
    const completion: Completion<readonly StoredRequest[]> = {
      done: (requests) => {
        pending += requests.length;
        const last = requests.at(-1);
        if (last === undefined) resolve();
        else store.list(last.number, completion);
      },
      failed: thrown,
    };
    store.list(0, completion);
  });
  return { store, pending, committer: new Standalone(store, recovered.firstTransaction) };
}

function outcome(done: () => void): BatchOutcome<readonly ChangeResult[]> {
  return { done, failed: thrown, released: () => {} };
}

const ours: Contender = async (directory, outstanding) => {
  const { store, committer } = await open(join(directory, 'ours.db'));
  let number = 0;
  const began = performance.now();
  await new Promise<void>((resolve) => {
    const next = (): void => {
      const changes: Change[] = [];
      while (changes.length < outstanding) changes.push(acceptOf(++number));
      committer.commit(changes, told);
    };
    const told = outcome(() => {
      if (performance.now() - began < SECONDS * 1000) next();
      else resolve();
    });
    next();
  });
  const seconds = (performance.now() - began) / 1000;
  await store.close();
  return number / seconds;
};

/** The same rows, made in the thread itself: nothing is passed between threads. */
const bare: Contender = async (directory, outstanding) => {
  const thread = new Worker(new URL('./store/bare-thread.js', import.meta.url), {
    workerData: { path: join(directory, 'bare.db'), outstanding, seconds: SECONDS },
  });
  return await new Promise<number>((resolve, reject) => {
    thread.on('message', resolve);
    thread.on('error', reject);
  });
};

function inDirectory<Result>(run: (directory: string) => Promise<Result>): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'majordomo-bench-'));
  return run(directory).finally(() => rmSync(directory, { recursive: true }));
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

async function rates(): Promise<void> {
  for (const outstanding of OUTSTANDING) {
    const rows: [ours: number, bare: number][] = [];
    for (let round = 0; round < ROUNDS; round++) {
      rows.push([
        await inDirectory((directory) => ours(directory, outstanding)),
        await inDirectory((directory) => bare(directory, outstanding)),
      ]);
    }
    const ratio = median(rows.map(([our, their]) => our / their));
    print(
      `${outstanding} outstanding, ${BODY_BYTES} bytes each: ` +
        `${perSecond(median(rows.map(([our]) => our)))}, ` +
        `bare better-sqlite3 ${perSecond(median(rows.map(([, their]) => their)))}, ` +
        `ratio ${ratio.toFixed(2)}`,
    );
  }
}

async function starts(directory: string): Promise<void> {
  const path = join(directory, 'million.db');
  await inBatches(path, MILLION, acceptOf);
  await start(path, 'pending');
  await inBatches(path, MILLION, (number) => ({
    kind: 'reply',
    uuid: acceptOf(number).request.uuid,
    generation: 0,
    reply: Buffer.alloc(BODY_BYTES),
    worker: '1',
    at: 0,
    expiresAt: EXPIRES_AT,
  }));
  await start(path, 'replied');
}

async function start(path: string, state: string): Promise<void> {
  const began = performance.now();
  const { store, pending } = await open(path);
  const seconds = ((performance.now() - began) / 1000).toFixed(2);
  const mebibytes = Math.round(process.memoryUsage().rss / 2 ** 20);
  print(`start with ${MILLION} ${state}: ${seconds} s, ${pending} told, ${mebibytes} MiB resident`);
  await store.close();
}

async function inBatches(path: string, count: number, change: (number: number) => Change) {
  const { store, committer } = await open(path);
  for (let first = 1; first <= count; first += MILLION_BATCH) {
    const size = Math.min(MILLION_BATCH, count - first + 1);
    const changes = Array.from({ length: size }, (_, at) => change(first + at));
    await new Promise<void>((resolve) => {
      committer.commit(changes, outcome(resolve));
    });
  }
  await store.close();
}

function perSecond(rate: number): string {
  return `${Math.round(rate).toLocaleString('en')}/s`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** How fast operators find some of a million dead requests; and what the store commits meanwhile. */
async function searches(directory: string): Promise<void> {
  const path = join(directory, 'million.db');
  await inBatches(path, MILLION, labelledAcceptOf);
  await inBatches(path, MILLION, deadOf);
  const queries = openSqliteQueries(path);
  try {
    for (const line of await searchTimes(queries)) print(line);
    const { store, committer } = await open(path);
    const rate = (): Promise<number> => committed(committer);
    const alone = await rate();
    const beside = await duringSearch(queries, rate);
    print(
      `commits of ${COMMIT_REQUESTS}: ${perSecond(alone)} alone, ${perSecond(beside)} beside a search`,
    );
    await store.close();
  } finally {
    await queries.close();
  }
}

let accepted = MILLION;

/** Requests per second. */
async function committed(committer: Standalone): Promise<number> {
  const [began, first] = [performance.now(), accepted];
  while (performance.now() - began < SECONDS * 1000) {
    const changes = Array.from({ length: COMMIT_REQUESTS }, () => acceptOf(++accepted));
    await new Promise<void>((resolve) => {
      committer.commit(changes, outcome(resolve));
    });
  }
  return (accepted - first) / ((performance.now() - began) / 1000);
}

const PARTS: Readonly<Record<string, () => Promise<void>>> = {
  rates,
  starts: () => inDirectory(starts),
  search: () => inDirectory(searches),
};

const parts = process.argv.slice(2);
for (const [name, run] of Object.entries(PARTS)) {
  if (parts.length === 0 || parts.includes(name)) await run();
}
