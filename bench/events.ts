/**
 * What the events as a stream cost: CPU time of the broker for each request, with `events.listen` off, on
 * with nobody subscribed, and on with one subscriber to everything.
 *
 *     npm run bench:events                  # a minute
 *     npm run bench:events -- --rounds 3 --requests 5000
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { Client } from '../src/sdk/client.js';
import { Worker } from '../src/sdk/worker.js';
import { type Daemon, removeDaemons, startDaemon } from '../test/support/daemon.js';
import { eventsOf, PUBLISHES } from '../test/support/events.js';
import { ask as get, httpOf } from '../test/support/http.js';
import { until } from '../test/support/until.js';
import { machineFacts } from './machine-facts.js';
import { countOthers, othersText } from './others.js';

const MAIN = fileURLToPath(new URL('../program/main.js', import.meta.url));
const SERVICE = 'echo';
const OUTSTANDING = 100;
const HTTP = 'http.listen=127.0.0.1:0';
const TICK_US = 10_000;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    requests: { type: 'string', default: '40000' },
  },
});
const [rounds = NaN, requests = NaN] = [values.rounds, values.requests].map(Number);

/** A broker with a worker and a client of its own. */
interface Stage {
  readonly name: string;
  readonly daemon: Daemon;
  readonly client: Client;
  readonly worker: Worker;
}

async function stageOf(name: string, ...sets: readonly string[]): Promise<Stage> {
  const daemon = await startDaemon({ sets: [HTTP, ...sets] });
  const options = { endpoints: daemon.endpoint, service: SERVICE, concurrency: OUTSTANDING };
  const worker = new Worker(options, ({ frames }) => frames);
  void worker.run();
  await daemon.waitFor('worker.registered');
  return { name, daemon, worker, client: new Client({ endpoints: daemon.endpoint }) };
}

/** `majordomo events` in a process of its own, whose output nobody reads. */
async function subscribe(daemon: Daemon): Promise<() => Promise<unknown>> {
  const child = spawn(process.execPath, [MAIN, 'events', '--events', eventsOf(daemon)], {
    stdio: 'ignore',
  });
  await until(async () => {
    const { text } = await get(`${httpOf(daemon)}/metrics`);
    return /^majordomo_stream_subscribers 1$/m.test(text);
  }, 'the subscriber');
  return () => {
    child.kill('SIGTERM');
    return once(child, 'close');
  };
}

/** Microseconds of CPU time that a process has used. */
function cpuUs({ process: { pid = 0 } }: Daemon): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The second field is a name in parentheses, which may contain anything.
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number);
  return (user + system) * TICK_US;
}

/** @returns microseconds of the broker's CPU time for each request */
async function round({ daemon, client }: Stage): Promise<number> {
  const before = cpuUs(daemon);
  let left = requests;
  const one = async (): Promise<void> => {
    while (left-- > 0) await client.request(SERVICE, 'x');
  };
  await Promise.all(Array.from({ length: OUTSTANDING }, one));
  return (cpuUs(daemon) - before) / requests;
}

function spread(figures: readonly number[]): string {
  const sorted = [...figures].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? NaN;
  return `${median.toFixed(3)} (${(sorted[0] ?? NaN).toFixed(3)}–${(sorted.at(-1) ?? NaN).toFixed(3)})`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

const othersUntilNow = countOthers();
for (const fact of machineFacts()) say(fact);
const stages = [
  await stageOf('off'),
  await stageOf('on, nobody subscribed', PUBLISHES),
  await stageOf('on, one subscriber to everything', PUBLISHES),
];
const [off, , watched] = stages;
const end = watched === undefined ? null : await subscribe(watched.daemon);
for (const stage of stages) await round(stage);
const took = new Map<Stage, number[]>(stages.map((stage) => [stage, []]));
for (let count = 0; count < rounds; count++) {
  for (const stage of stages) took.get(stage)?.push(await round(stage));
}
const base = (off === undefined ? undefined : took.get(off)) ?? [];
const LIMITS = ['', ' (at most 1.02)', ' (at most 1.3)'];
for (const [index, stage] of stages.entries()) {
  const figures = took.get(stage) ?? [];
  say(`events ${stage.name}: ${spread(figures)} µs of CPU time for each request`);
  if (index === 0) continue;
  const ratios = figures.map((figure, at) => figure / (base[at] ?? NaN));
  say(`  ratio, ${rounds} interleaved rounds: ${spread(ratios)}${LIMITS[index] ?? ''}`);
}
await end?.();
for (const { client, worker } of stages) {
  await client.close();
  await worker.close({ graceMs: 0 });
}
await removeDaemons();
say(othersText(othersUntilNow()));
