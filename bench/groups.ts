/**
 * What a flood of one group costs the others: workers that are always busy, and many groups that each have one request
 * outstanding, alternately without and with a group that has tens of thousands waiting. Prints how long the others wait.
 *
 *     npm run bench:groups                      # two minutes
 *     npm run bench:groups -- --postgres        # durable ones in a PostgreSQL of its own
 *     npm run bench:groups -- --rounds 1 --groups 100 --flood 5000 --seconds 2
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { Client } from '../src/sdk/client.js';
import { Worker } from '../src/sdk/worker.js';
import { type Daemon, removeDaemons, startDaemon } from '../test/support/daemon.js';
import { Cluster } from '../test/support/postgres-cluster.js';
import { machineFacts } from './machine-facts.js';
import { countOthers, othersText } from './others.js';

const SERVICE = 'work';
const WORKERS = 8;
/** What a worker needs for a request, in milliseconds. */
const WORK_MS = 4;
const BOUND = 1.3;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    groups: { type: 'string', default: '1000' },
    flood: { type: 'string', default: '50000' },
    seconds: { type: 'string', default: '6' },
    postgres: { type: 'boolean', default: false },
  },
});
const [rounds = NaN, groups = NaN, flood = NaN, seconds = NaN] = [
  values.rounds,
  values.groups,
  values.flood,
  values.seconds,
].map(Number);

type Kind = 'plain' | 'durable';

async function withWorkers<Result>(daemon: Daemon, use: () => Promise<Result>): Promise<Result> {
  const workers = Array.from(
    { length: WORKERS },
    () =>
      new Worker({ endpoints: daemon.endpoint, service: SERVICE }, async () => {
        await pause(WORK_MS);
        return 'done';
      }),
  );
  for (const worker of workers) void worker.run();
  const result = await use();
  await Promise.all(workers.map((worker) => worker.close({ graceMs: 0 })));
  return result;
}

async function ask(client: Client, kind: Kind, group: string): Promise<void> {
  if (kind === 'plain') {
    await client.request(SERVICE, 'x', { group });
    return;
  }
  const job = await client.enqueue(SERVICE, 'x', { group });
  await job.result();
  await job.close();
}

/** The group has so many requests waiting, and does not wait for them. */
async function pour(client: Client, kind: Kind): Promise<void> {
  const one = async (): Promise<unknown> =>
    kind === 'plain'
      ? client.request(SERVICE, 'x', { group: 'flood' })
      : client.enqueue(SERVICE, 'x', { group: 'flood' });
  const sent = Array.from({ length: flood }, one);
  // A plain one ends with its broker.
  if (kind === 'plain') for (const each of sent) each.catch(() => undefined);
  else await Promise.all(sent);
}

/** @returns the p99 of what one request of the others takes, in milliseconds */
async function measure(kind: Kind, isFlooded: boolean): Promise<number> {
  const sets = [
    `limits.queuedRequestsPerService=${2 * flood}`,
    ...(server === null ? [] : [`titanic.store=${server.url(await server.database())}`]),
  ];
  const daemon = await startDaemon({ sets });
  const options = { endpoints: daemon.endpoint, timeoutMs: Infinity, maxOutstanding: 2 * flood };
  const [client, other] = [new Client(options), new Client(options)];
  if (isFlooded) await pour(other, kind);
  const took: number[] = [];
  await withWorkers(daemon, async () => {
    // What is taken before the workers are busy with all groups is no measure.
    const from = performance.now() + 1000;
    const until = from + seconds * 1000;
    const loop = async (_: unknown, group: number): Promise<void> => {
      while (performance.now() < until) {
        const begun = performance.now();
        await ask(client, kind, `group-${group}`);
        if (begun > from) took.push(performance.now() - begun);
      }
    };
    await Promise.all(Array.from({ length: groups - 1 }, loop));
  });
  await Promise.all([client.close(), other.close()]);
  await removeDaemons();
  took.sort((a, b) => a - b);
  return took[Math.ceil(took.length * 0.99) - 1] ?? NaN;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function compare(kind: Kind): Promise<void> {
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const without = await measure(kind, false);
    const withFlood = await measure(kind, true);
    ratios.push(withFlood / without);
    say(`${kind}: p99 ${without.toFixed(0)} ms without the flood, ${withFlood.toFixed(0)} ms with`);
  }
  const median = ratios.sort((a, b) => a - b)[Math.floor(ratios.length / 2)] ?? NaN;
  say(`${kind}: ratio ${median.toFixed(2)} (at most ${BOUND})${median > BOUND ? '  MISSED' : ''}`);
}

const server = values.postgres ? await Cluster.make() : null;
const othersUntilNow = countOthers();
for (const fact of machineFacts()) say(fact);
say(`${WORKERS} workers, ${groups} groups, one of which has ${flood} requests waiting`);
if (server === null) await compare('plain');
await compare('durable');
await server?.remove();
say(othersText(othersUntilNow()));
