/**
 * Runs a row: starts all its brokers and measures them in turns, A B C A B C …, so that noise
 * affects all.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { type Broker, type BrokerName, type RunningBroker, startBroker } from './brokers.js';
import { type Generator, type LoadResult, resultOf, runLoad, type Window } from './generator.js';
import type { Drive, Row, Runner, Target } from './rows.js';

/** What all measurements share. */
export interface Bench {
  readonly generator: Generator;
  readonly brokers: ReadonlyMap<BrokerName, Broker>;
  readonly window: Window;
  readonly rounds: number;
  /** The cores of brokers and of the generator; null if nothing is pinned. */
  readonly pins: Pins | null;
  progress(text: string): void;
}

export interface Pins {
  readonly broker: readonly number[];
  readonly load: number;
}

/** A runner's medians over all rounds. */
export interface Figures {
  readonly title: string;
  readonly requestsPerSecond: number;
  readonly cpuUs: number;
  readonly loadCpuUs: number;
  /** Shares of one core. */
  readonly busy: number;
  readonly loadBusy: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
}

/** A ratio, pair by pair: the median and the ends of its range. */
export interface Ratio {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export type Quantity = 'rate' | 'cpu' | 'load' | 'p50';

/** One target and its measured ratio. */
export interface Verdict {
  readonly against: string;
  readonly quantity: Quantity;
  readonly ratio: Ratio;
  readonly bound: number;
  readonly met: boolean;
  readonly why: string | undefined;
}

export interface RowResult {
  readonly row: Row;
  readonly figures: readonly Figures[];
  readonly verdicts: readonly Verdict[];
}

interface Standing {
  readonly runner: Runner;
  readonly broker: RunningBroker;
  readonly results: LoadResult[];
}

/** @returns null if the row's first runner is not installed */
export async function measureRow(bench: Bench, row: Row): Promise<RowResult | null> {
  const standing: Standing[] = [];
  const [subject] = row.runners;
  if (subject === undefined || !bench.brokers.has(subject.broker)) return null;
  try {
    for (const runner of row.runners) {
      const broker = bench.brokers.get(runner.broker);
      if (broker === undefined) continue;
      // The SDK's row has three processes of ours: the system assigns the cores.
      const cpus = runner.drive.kind === 'load' ? (bench.pins?.broker ?? null) : null;
      const running = await startBroker(broker, runner.sets ?? [], cpus);
      standing.push({ runner, broker: running, results: [] });
    }
    for (let round = 0; round < bench.rounds; round++) {
      for (const { runner, broker, results } of standing) {
        bench.progress(`${row.title}: ${runner.title} (${round + 1}/${bench.rounds})`);
        results.push(await drive(bench, runner.drive, broker));
      }
    }
  } finally {
    await Promise.all(standing.map(({ broker }) => broker.stop()));
  }
  return { row, figures: standing.map(figuresOf), verdicts: verdictsOf(row.targets, standing) };
}

async function drive(bench: Bench, how: Drive, broker: RunningBroker): Promise<LoadResult> {
  if (how.kind === 'load') {
    const cpu = bench.pins?.load ?? null;
    return await runLoad(bench.generator, how.load, broker, bench.window, cpu);
  }
  const endpoint = `tcp://127.0.0.1:${broker.port}`;
  const directory = how.directory ?? import.meta.dirname;
  const script = (name: string): string => join(directory, 'sdk', `${name}.js`);
  const worker = spawn(
    process.execPath,
    [script('worker'), endpoint, how.transport, String(how.concurrency)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    await once(worker.stdout, 'data');
    const { seconds, warmupSeconds } = bench.window;
    const numbers = [how.outstanding, seconds, warmupSeconds, broker.pid].map(String);
    const args = [script('client'), endpoint, how.transport, ...numbers];
    return await resultOf(process.execPath, args);
  } finally {
    worker.kill('SIGKILL');
    await sleep(100);
  }
}

function requestsPerSecond({ requests, seconds }: LoadResult): number {
  return requests / seconds;
}

function cpuUs({ brokerCpuSeconds, requests }: LoadResult): number {
  return (brokerCpuSeconds * 1e6) / requests;
}

function loadCpuUs({ loadCpuSeconds, requests }: LoadResult): number {
  return (loadCpuSeconds * 1e6) / requests;
}

function figuresOf({ runner, results }: Standing): Figures {
  const of = (value: (result: LoadResult) => number): number => median(results.map(value));
  return {
    title: runner.title,
    requestsPerSecond: of(requestsPerSecond),
    cpuUs: of(cpuUs),
    loadCpuUs: of(loadCpuUs),
    busy: of(({ brokerCpuSeconds, seconds }) => brokerCpuSeconds / seconds),
    loadBusy: of(({ loadCpuSeconds, seconds }) => loadCpuSeconds / seconds),
    p50Us: of(({ p50Us }) => p50Us),
    p99Us: of(({ p99Us }) => p99Us),
    p999Us: of(({ p999Us }) => p999Us),
  };
}

function verdictsOf(targets: readonly Target[], standing: readonly Standing[]): Verdict[] {
  const [subject] = standing;
  if (subject === undefined) return [];
  return targets.flatMap(({ against, rateMin, cpuMax, loadMax, p50Max, why }) => {
    const other = standing.find(({ runner }) => runner.title === against);
    if (other === undefined) return [];
    const verdict = (
      quantity: Quantity,
      value: (result: LoadResult) => number,
      bound: number | undefined,
    ): Verdict[] => {
      if (bound === undefined) return [];
      const ratio = ratioOf(subject.results.map(value), other.results.map(value));
      const met = quantity === 'rate' ? ratio.median >= bound : ratio.median <= bound;
      return [{ against, quantity, ratio, bound, met, why }];
    };
    return [
      ...verdict('rate', requestsPerSecond, rateMin),
      ...verdict('cpu', cpuUs, cpuMax),
      ...verdict('load', loadCpuUs, loadMax),
      ...verdict('p50', ({ p50Us }) => p50Us, p50Max),
    ];
  });
}

/** The ratio of two that were measured alternately. */
export function ratioOf(mine: readonly number[], theirs: readonly number[]): Ratio {
  const ratios = mine.map((value, round) => value / (theirs[round] ?? Number.NaN));
  return { median: median(ratios), low: Math.min(...ratios), high: Math.max(...ratios) };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
