/**
 * The map: changes a second against Redis (`SET`, `appendfsync always`), the echo to a thousand and to
 * ten thousand subscribers, and snapshots of a million keys.
 *
 *     npm run bench:map                     # three minutes
 *     npm run bench:map -- --rounds 1 --seconds 1
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { SharedMap } from '../src/sdk/map.js';
import { removeDaemons, startDaemon } from '../test/support/daemon.js';
import { pairWithMap } from '../test/support/map-load.js';
import { mapOf, MAPS } from '../test/support/map-endpoint.js';
import { removePairs } from '../test/support/pair-daemons.js';
import { findContenders, type Running, startContender } from './durable/contenders.js';
import { machineFacts } from './machine-facts.js';
import { RedisSets } from './map/redis.js';
import { measureSnapshots } from './map/snapshots.js';
import { countOthers, othersText } from './others.js';

const SUBSCRIBERS_PROGRAM = fileURLToPath(new URL('./map/subscribers.js', import.meta.url));
const OUTSTANDING = 64;
const VALUE = 'x'.repeat(100);
const KEYS = 1000;
const ECHOES = [
  { subscribers: 1000, echoes: 200, pauseMs: 50, lastMsMax: null },
  { subscribers: 10_000, echoes: 20, pauseMs: 500, lastMsMax: 100 },
] as const;
const FILLED_KEYS = 200_000;
const FILLED_AT_ONCE = 1000;
const READERS = 10;
const WARM_UP_SECONDS = 2;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
  },
});
const [rounds = NaN, seconds = NaN] = [values.rounds, values.seconds].map(Number);

interface Lane {
  readonly name: string;
  readonly set: (key: string, value: string) => Promise<unknown> | undefined;
  readonly perSecond: number[];
}

/** Changes a second, with 64 outstanding. */
async function rate({ set }: Pick<Lane, 'set'>, forSeconds: number): Promise<number> {
  const start = performance.now();
  const until = start + forSeconds * 1000;
  let done = 0;
  let key = 0;
  const one = async (): Promise<void> => {
    while (performance.now() < until) {
      await set(`/bench/${key++ % KEYS}`, `${VALUE}${done}`);
      done++;
    }
  };
  await Promise.all(Array.from({ length: OUTSTANDING }, one));
  return done / ((performance.now() - start) / 1000);
}

function quantile(figures: readonly number[], share: number): number {
  const sorted = [...figures].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

function spread(figures: readonly number[], digits = 2): string {
  const shown = (share: number): string => quantile(figures, share).toFixed(digits);
  return `${shown(0.5)} (${shown(0)}–${shown(1)})`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function ratios(a: Lane, b: Lane): number[] {
  return a.perSecond.map((figure, at) => figure / (b.perSecond[at] ?? NaN));
}

async function sets(directory: string): Promise<void> {
  const alone = new SharedMap({ endpoints: [mapOf(await startDaemon({ sets: [MAPS] }))] });
  const { pair, maps } = await pairWithMap({ heartbeatIntervalMs: 1000, direct: true });
  await pair.inSync();
  const paired = new SharedMap({ endpoints: [...maps] });
  await Promise.all([alone.synced, paired.synced]);
  const lane = (name: string, set: Lane['set']): Lane => ({ name, set, perSecond: [] });
  const ours = lane('the map', (key, value) => alone.set(key, value));
  const both = lane('the map of a pair', (key, value) => paired.set(key, value));
  const redisFound = findContenders().found.find(({ name }) => name === 'redis');
  let running: Running | null = null;
  const redis: RedisSets[] = [];
  const lanes = [ours, both];
  if (redisFound !== undefined) {
    running = await startContender(redisFound, directory);
    const { port } = running;
    for (let count = 0; count < OUTSTANDING; count++) redis.push(await RedisSets.connected(port));
    let next = 0;
    const oneEach: Lane['set'] = (key, value) => redis[next++ % OUTSTANDING]?.set(key, value);
    lanes.push(lane(`Redis SET, ${OUTSTANDING} connections`, oneEach));
    lanes.push(lane('Redis SET, pipelined', (key, value) => redis[0]?.set(key, value)));
  } else {
    say('Redis: skipped, because redis-server is not installed');
  }
  for (const each of lanes) await rate(each, WARM_UP_SECONDS);
  for (let round = 0; round < rounds; round++) {
    for (const each of lanes) each.perSecond.push(await rate(each, seconds));
  }
  for (const { name, perSecond } of lanes) {
    say(`${name}, ${OUTSTANDING} outstanding: ${spread(perSecond, 0)} changes a second`);
  }
  const [, , connections, pipelined] = lanes;
  if (connections !== undefined && pipelined !== undefined) {
    say(
      `  against Redis, a connection for each: ${spread(ratios(ours, connections))} (at least 1.2)`,
    );
    say(`  against Redis, all in one write: ${spread(ratios(ours, pipelined))} (at least 1)`);
  }
  say(`  a pair against one node: ${spread(ratios(both, ours))} (at least 0.5)`);
  for (const each of redis) each.close();
  await Promise.all([alone.close(), paired.close(), running?.stop()]);
  await removePairs();
  await removeDaemons();
}

async function echo({
  subscribers,
  echoes,
  pauseMs,
  lastMsMax,
}: (typeof ECHOES)[number]): Promise<void> {
  const daemon = await startDaemon({ sets: [MAPS, `limits.connections=${subscribers * 4}`] });
  const map = new SharedMap({ endpoints: [mapOf(daemon)] });
  await map.synced;
  const [before = '', port = ''] = mapOf(daemon).split(/(?<=.*:.*:)/);
  const endpoint = `${before}${Number(port) + 1}`;
  const args = [SUBSCRIBERS_PROGRAM, endpoint, String(subscribers)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  const delays: number[] = [];
  const lasts: number[] = [];
  for (let count = 0; count < echoes; count++) {
    await map.set(`/echo/${count}`, String(process.hrtime.bigint()));
    const line: IteratorResult<string> = await lines.next();
    const ofAll = JSON.parse(String(line.value)) as number[];
    delays.push(...ofAll);
    lasts.push(Math.max(...ofAll) / 1000);
    await pause(pauseMs);
  }
  child.kill('SIGTERM');
  await once(child, 'close');
  await map.close();
  await removeDaemons();
  const [p50, p99] = [quantile(delays, 0.5), quantile(delays, 0.99)];
  const text = `p50 ${(p50 / 1000).toFixed(2)} ms, p99 ${(p99 / 1000).toFixed(2)} ms`;
  say(
    `an echo to ${subscribers} subscribers: ${text}, ratio ${(p99 / p50).toFixed(2)} (at most 3)`,
  );
  const wanted = lastMsMax === null ? '' : ` (at most ${lastMsMax})`;
  say(`  to the last of them: ${spread(lasts, 1)} ms${wanted}`);
}

async function whileSnapshots(): Promise<void> {
  const endpoint = mapOf(await startDaemon({ sets: [MAPS] }));
  const writer = new SharedMap({ endpoints: [endpoint] });
  await writer.synced;
  const value = 'v'.repeat(100);
  for (let from = 0; from < FILLED_KEYS; from += FILLED_AT_ONCE) {
    const keys = Array.from({ length: FILLED_AT_ONCE }, (_, at) => `/filled/${from + at}`);
    await Promise.all(keys.map((key) => writer.set(key, value)));
  }
  const small = new SharedMap({ endpoints: [endpoint], subtree: '/bench/' });
  await small.synced;
  const lane = { set: (key: string, text: string) => small.set(key, text) };
  await writer.close();
  await rate(lane, WARM_UP_SECONDS);
  const shares: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const quiet = await rate(lane, seconds);
    const reading = readers(endpoint);
    const busy = await rate(lane, seconds);
    await reading();
    shares.push(busy / quiet);
  }
  await small.close();
  await removeDaemons();
  say(
    `changes while ${READERS} clients read snapshots of ${FILLED_KEYS} keys, again and again, ` +
      `against without: ${spread(shares)} (at least 0.5)`,
  );
}

/** Programs that read snapshots until they are told to end. */
function readers(endpoint: string): () => Promise<void> {
  const program = fileURLToPath(new URL('./map/reader.js', import.meta.url));
  const child = spawn(process.execPath, [program, endpoint, String(READERS)], { stdio: 'ignore' });
  return async () => {
    child.kill('SIGTERM');
    await once(child, 'close');
  };
}

const othersUntilNow = countOthers();
const directory = mkdtempSync(join(tmpdir(), 'majordomo-bench-map-'));
for (const fact of machineFacts()) say(fact);
try {
  await sets(directory);
  for (const each of ECHOES) await echo(each);
  await whileSnapshots();
  const { keys, clients, firstMs, longestMs, heapMib, grownMib } = measureSnapshots();
  say(`${clients} snapshots of ${keys} keys of 100 bytes, begun together (the machine alone):`);
  say(`  the turn that takes them ${firstMs.toFixed(1)} ms (at most 25)`);
  say(`  the longest turn after it ${longestMs.toFixed(1)} ms`);
  say(
    `  the heap grows from ${heapMib.toFixed(0)} by ${grownMib.toFixed(0)} MiB: no copy of values`,
  );
} finally {
  rmSync(directory, { recursive: true, force: true });
}
say(othersText(othersUntilNow()));
