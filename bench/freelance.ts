/**
 * What `hedgeMs` is worth: three independent brokers, and a worker at the first of them that needs
 * 200 ms longer for one request in twenty. Then the first broker is killed under load.
 *
 *     npm run bench:freelance                  # a minute and a half
 *     npm run bench:freelance -- --rounds 3 --requests 500 --kills 3
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { Client, type ClientOptions } from '../src/sdk/client.js';
import { Worker } from '../src/sdk/worker.js';
import { type Daemon, removeDaemons, startDaemon } from '../test/support/daemon.js';
import { machineFacts } from './machine-facts.js';
import { countOthers, othersText } from './others.js';

const SERVICE = 'work';
const HEDGE_MS = 20;
const SLOW_MS = 200;
const ONE_IN = 20;
/** What a worker needs for a request while brokers are killed. */
const WORK_MS = 50;
const OUTSTANDING = 8;
const CONNECT_MS_MAX = 20_000;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    requests: { type: 'string', default: '1000' },
    kills: { type: 'string', default: '20' },
  },
});
const [rounds = NaN, requests = NaN, kills = NaN] = [
  values.rounds,
  values.requests,
  values.kills,
].map(Number);

/** A worker that takes as long as `workMs` says. */
async function work(daemon: Daemon, workMs: () => number): Promise<Worker> {
  const options = { endpoints: daemon.endpoint, service: SERVICE, concurrency: 100 };
  const worker = new Worker(options, async () => {
    const ms = workMs();
    if (ms > 0) await pause(ms);
    return 'done';
  });
  // Its broker is killed.
  worker.on('lost', () => undefined);
  void worker.run();
  await daemon.waitFor('worker.registered');
  return worker;
}

async function clientOf(
  daemons: readonly Daemon[],
  options: Partial<ClientOptions>,
): Promise<Client> {
  const endpoints = daemons.map(({ endpoint }) => endpoint);
  const client = new Client({ endpoints, strategy: 'freelance', timeoutMs: 5000, ...options });
  const until = performance.now() + CONNECT_MS_MAX;
  while (client.endpoint !== endpoints[0]) {
    if (performance.now() > until) throw new Error('the first broker is not connected');
    await pause(1);
  }
  return client;
}

/** Sends requests, `OUTSTANDING` at a time. @returns milliseconds of each */
async function ask(client: Client, count: number): Promise<number[]> {
  const took: number[] = [];
  let left = count;
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      const from = performance.now();
      await client.request(SERVICE, 'x');
      took.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: OUTSTANDING }, one));
  return took;
}

function percentile(times: readonly number[], share: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * share) - 1] ?? NaN;
}

function spread(figures: readonly number[]): string {
  const [low, median, high] = [
    percentile(figures, 0.01),
    percentile(figures, 0.5),
    percentile(figures, 1),
  ];
  return `${median.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function tails(): Promise<void> {
  const daemons = await Promise.all([startDaemon(), startDaemon(), startDaemon()]);
  let count = 0;
  const slow = (): number => (count++ % ONE_IN === 0 ? SLOW_MS : 0);
  const workers = await Promise.all(
    daemons.map((daemon, at) => work(daemon, at === 0 ? slow : () => 0)),
  );
  const plain = await clientOf(daemons, {});
  const hedging = await clientOf(daemons, { hedgeMs: HEDGE_MS });
  const [ratios, without, withHedge]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < rounds; round++) {
    const before = percentile(await ask(plain, requests), 0.99);
    const after = percentile(await ask(hedging, requests), 0.99);
    without.push(before);
    withHedge.push(after);
    ratios.push(after / before);
  }
  const extra = (hedging.counters.hedges / (rounds * requests)) * 100;
  say(`p99 without hedgeMs, ms: ${spread(without)}`);
  say(`p99 with hedgeMs ${HEDGE_MS}, ms: ${spread(withHedge)}`);
  say(`ratio, ${rounds} interleaved rounds: ${spread(ratios)} (at most 0.3)`);
  say(`requests sent to one more broker: ${extra.toFixed(1)} % (at most 10 %)`);
  await Promise.all([plain.close(), hedging.close()]);
  await Promise.all(workers.map((worker) => worker.close({ graceMs: 0 })));
  await removeDaemons();
}

/** The longest request, in milliseconds, while the first of three brokers is killed. */
async function kill(): Promise<{ readonly longest: number; readonly normal: number }> {
  const daemons = await Promise.all([startDaemon(), startDaemon(), startDaemon()]);
  const workers = await Promise.all(daemons.map((daemon) => work(daemon, () => WORK_MS)));
  const client = await clientOf(daemons, { hedgeMs: HEDGE_MS });
  const normal = percentile(await ask(client, 20 * OUTSTANDING), 0.5);
  const asking = ask(client, 20 * OUTSTANDING);
  await pause(3.5 * WORK_MS);
  await daemons[0].kill();
  const longest = percentile(await asking, 1);
  await client.close();
  await Promise.all(workers.map((worker) => worker.close({ graceMs: 0 })));
  await removeDaemons();
  return { longest, normal };
}

async function losses(): Promise<void> {
  const over: number[] = [];
  for (let round = 0; round < kills; round++) {
    const { longest, normal } = await kill();
    over.push(longest / (HEDGE_MS + 1.5 * normal));
  }
  say(
    `first broker killed ${kills} times: no request failed; the longest request, as a share of hedgeMs + 1.5 × a normal one: ${spread(over)} (at most 1)`,
  );
}

const othersUntilNow = countOthers();
for (const fact of machineFacts()) say(fact);
await tails();
await losses();
say(othersText(othersUntilNow()));
