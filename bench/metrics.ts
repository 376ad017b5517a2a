/**
 * The cost of metrics: a request in the broker machine with and without counting, in alternating
 * separate processes, so that neither run warms up the other's code; and a scrape with 1,000
 * services, compared with prom-client for the same series.
 *
 *     npm run bench:metrics                    # 15 pairs of runs, about 2 minutes
 *     npm run bench:metrics -- --rounds 5
 */
import { Holdings } from '../src/core/holdings.js';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

import { RequestCounters } from '../src/broker/request-counters.js';
import { Metrics, type MetricSources } from '../src/admin/metrics/metrics.js';
import { METRICS } from '../src/admin/metrics/metric-table.js';
import { setV8Flags } from '../src/cli/serve/v8-flags.js';
import { logTo } from '../test/support/logs.js';
import { Stage } from './machine/stage.js';

const WARM_TURNS = 400;
const TURNS = 1600;
const RENDERINGS = 40;

/** CPU time of the calling thread, in nanoseconds; NaN if the kernel does not report it. */
function threadCpuNs(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]);
  } catch {
    return NaN;
  }
}

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '15' }, child: { type: 'string' } },
});

/** Disables counting and the clock readings for it. */
function countNothing(): void {
  const { prototype } = RequestCounters;
  for (const name of Object.getOwnPropertyNames(prototype)) {
    if (name.startsWith('count')) {
      Object.defineProperty(prototype, name, { value: () => undefined });
    }
  }
}

/** Nanoseconds of CPU time per request. */
function costOfRequest(): number {
  const stage = new Stage({ workers: 100, services: 10, credit: 10, queued: 0 });
  for (let turn = 0; turn < WARM_TURNS; turn++) stage.turn();
  const before = threadCpuNs();
  let answered = 0;
  for (let turn = 0; turn < TURNS; turn++) answered += stage.turn();
  return (threadCpuNs() - before) / answered;
}

function inChild(what: 'on' | 'off'): number {
  const file = fileURLToPath(import.meta.url);
  const { stdout, stderr } = spawnSync(process.execPath, [file, '--child', what], {
    encoding: 'utf8',
  });
  const ns = Number(stdout);
  if (!(ns > 0)) throw new Error(`a run ended without a figure: ${stderr}`);
  return ns;
}

function print(title: string, text: string): void {
  process.stdout.write(`${title.padEnd(56)} ${text}\n`);
}

function median(of: readonly number[]): number {
  return of.toSorted((a, b) => a - b)[of.length >> 1] ?? NaN;
}

function requests(rounds: number): void {
  const pairs = Array.from({ length: rounds }, (_, round) => {
    // Each goes first equally often.
    const first = round % 2 === 0 ? 'on' : 'off';
    const one = inChild(first);
    const other = inChild(first === 'on' ? 'off' : 'on');
    return first === 'on' ? { on: one, off: other } : { on: other, off: one };
  });
  print('a request in the machine, counted', `${median(pairs.map(({ on }) => on)).toFixed(0)} ns`);
  print('  not counted', `${median(pairs.map(({ off }) => off)).toFixed(0)} ns`);
  const ratio = median(pairs.map(({ on, off }) => on / off));
  print('  median of the ratios (bound 1.05)', ratio.toFixed(3));
}

function sources(stage: Stage): MetricSources {
  return {
    node: 'bench',
    version: '0',
    wall: () => 0,
    uptimeMs: () => 1,
    afterCrash: false,
    storeBytesMax: 2 ** 36,
    isReady: () => true,
    degraded: () => [],
    loopLagMs: () => 0,
    broker: stage.broker,
    holdings: new Holdings(),
    titanic: () => null,
    extensions: () => new Map(),
    pair: () => ({
      role: 'standalone',
      state: 'active',
      epoch: 0,
      isPeerUp: false,
      isInSync: false,
      replicationLagMs: 0,
      transitions: { waiting: 0, passive: 0, joining: 0, active: 0 },
      splitBrains: 0,
    }),
  };
}

async function scrape(): Promise<void> {
  const stage = new Stage({ workers: 1000, services: 1000, credit: 10, queued: 0 });
  for (let turn = 0; turn < 20; turn++) stage.turn();
  const log = logTo(({ event }, text) => print(event, text));
  const metrics = new Metrics(sources(stage), log);
  const { text, times } = await rendered(async () => String((await metrics.render()).plain));
  const size = `${text.split('\n').length} lines, ${(text.length / 1e6).toFixed(1)} MB`;
  print('a scrape with 1,000 services', `${median(times).toFixed(1)} ms (${size})`);
  print('  the longest (bound 20 ms)', `${Math.max(...times).toFixed(1)} ms`);
  const other = await rendered(promClient(stage));
  const lines = other.text.split('\n').length;
  print(
    'prom-client, the series per service',
    `${median(other.times).toFixed(1)} ms (${lines} lines)`,
  );
}

/** Milliseconds of this thread's CPU time per text, without the first ones. */
async function rendered(
  render: () => Promise<string>,
): Promise<{ readonly text: string; readonly times: readonly number[] }> {
  const times: number[] = [];
  let text = '';
  for (let count = 0; count < RENDERINGS; count++) {
    // It renders no faster than its share of the loop allows.
    await sleep(150);
    const before = threadCpuNs();
    text = await render();
    times.push((threadCpuNs() - before) / 1e6);
  }
  return { text, times: times.slice(RENDERINGS / 2) };
}

/** The same series in prom-client; the cost of counting is printed at once. */
function promClient(stage: Stage): () => Promise<string> {
  const registry = new Registry();
  const registers = [registry];
  const { services, columns } = stage.broker.counters.requests;
  const names = ['__other__', ...Array.from(services.byName.values(), ({ shown }) => shown)];
  const buckets = Array.from(columns.wait.bounds, (bound) => bound / 1000);
  const counts: (() => void)[] = [];
  for (const [name, { type, help, labels }] of Object.entries(METRICS)) {
    if (!('service' in labels)) continue;
    const labelNames = Object.keys(labels);
    const [other = '', given] = Object.entries(labels)[1] ?? [];
    if (type === 'histogram') {
      const histogram = new Histogram({ name, help, labelNames, buckets, registers });
      for (const service of names) {
        counts.push(() => histogram.observe({ service }, 0.001));
      }
      continue;
    }
    const Meter = type === 'counter' ? Counter : Gauge;
    const meter = new Meter({ name, help, labelNames, registers });
    for (const service of names) {
      for (const value of given ?? [null]) {
        const all = value === null ? { service } : { service, [other]: value };
        counts.push(() => meter.inc(all));
      }
    }
  }
  for (let warm = 0; warm < 20; warm++) for (const count of counts) count();
  const before = performance.now();
  for (let run = 0; run < 50; run++) for (const count of counts) count();
  const ns = ((performance.now() - before) * 1e6) / (50 * counts.length);
  print('prom-client, one count', `${ns.toFixed(0)} ns`);
  return () => registry.metrics();
}

setV8Flags();
if (values.child === undefined) {
  requests(Number(values.rounds));
  await scrape();
} else {
  if (values.child === 'off') countNothing();
  process.stdout.write(String(costOfRequest()));
}
