/** Runs of `majordomo bench`: what one measured, the last ones on this machine, and how two compare. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

import { codeOf, messageOf } from '../../../core/errors.js';
import { usage } from '../../common/options.js';
import { factsIn } from '../../common/facts.js';
import { printable, say } from '../../common/output.js';
import { type Column, table } from '../../common/table.js';
import { LOAD_KINDS, type LoadKind, type LoadPlan, type LoadResult } from './messages.js';

/** What two runs must have in common to be compared; null: it has none. */
interface RunPlan {
  readonly kind: LoadKind;
  readonly workers: number | null;
  readonly concurrency: number | null;
  readonly connections: number;
  readonly outstanding: number | null;
  readonly rate: number | null;
  readonly size: number;
  /** The option; `measuredSeconds` is how long it was. */
  readonly seconds: number;
  readonly curve: boolean;
}

/** The JSON of a run. */
interface Run extends RunPlan, Omit<LoadResult, keyof RunPlan | 'cpuSeconds'> {
  readonly endpoints: readonly string[];
  /** ISO 8601, UTC. */
  readonly measuredAt: string;
  readonly measuredSeconds: number;
  readonly requestsPerSecond: number;
  readonly clientCpuSeconds: number;
}

const PLAN = [
  ...['kind', 'workers', 'concurrency', 'connections', 'outstanding', 'rate', 'size'],
  ...['seconds', 'curve'],
] as readonly (keyof RunPlan)[];

const UNITS: Readonly<Record<LoadKind, string>> = {
  echo: 'requests/s',
  fleet: 'requests/s',
  durable: 'receipts/s, each for a request on disk',
  map: 'changes/s',
};

const LATENCIES = ['p50', 'p99', 'p99.9', 'max'] as const;
const ISO_TIME = /^\d{4}-\d\d-\d\dT[\d:.]{8,12}Z$/;
/** The last of each kind and options. */
const KEPT_MAX = 100;

function planOf(plan: LoadPlan): RunPlan {
  const hasWorkers = plan.kind === 'echo' || plan.kind === 'fleet';
  return {
    kind: plan.kind,
    workers: hasWorkers ? plan.workers : null,
    concurrency: hasWorkers ? plan.concurrency : null,
    connections: plan.connections,
    outstanding: plan.rate > 0 ? null : plan.outstanding,
    rate: plan.rate > 0 ? plan.rate : null,
    size: plan.size,
    seconds: plan.measureMs / 1000,
    curve: plan.keys.curve !== undefined,
  };
}

export function runOf(plan: LoadPlan, result: LoadResult): Run {
  const { requests, failed, seconds, latencyUs, cpuSeconds } = result;
  return {
    ...planOf(plan),
    endpoints: plan.endpoints,
    measuredAt: new Date().toISOString(),
    measuredSeconds: seconds,
    requests,
    failed,
    requestsPerSecond: requests / seconds,
    latencyUs,
    clientCpuSeconds: cpuSeconds,
  };
}

/** Says in what the run was measured otherwise; `null`: the two can be compared. */
export function differenceOf(plan: LoadPlan, run: Run): string | null {
  const wanted = planOf(plan);
  const name = PLAN.find((each) => wanted[each] !== run[each]);
  if (name === undefined) return null;
  return `that run had ${name} ${printable(run[name])}, this one has ${String(wanted[name])}`;
}

/** @throws ERR_USAGE */
export function readRun(file: string): Run {
  let read: unknown;
  try {
    read = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw usage(`--compare ${file}: ${codeOf(error) ?? 'it is not JSON'}`);
  }
  if (!isRun(read)) {
    const fault = faultOf(read) ?? '';
    throw usage(`--compare ${file}: it is not what bench -o json prints: ${fault}`);
  }
  // (Its own `before` would grow with each.)
  const { before: _, ...run }: Run & { readonly before?: unknown } = read;
  return run;
}

/** The last run with these options on this machine. */
export function lastRun(plan: LoadPlan): Run | null {
  return keptRuns().find((run) => differenceOf(plan, run) === null) ?? null;
}

/** Keeps a run for the next one, if nothing failed. A file that cannot be written is no failure. */
export function keepRun(run: Run): void {
  if (run.failed > 0 || run.requests === 0) return;
  const isSame = (other: Run): boolean => PLAN.every((name) => run[name] === other[name]);
  const kept = [run, ...keptRuns().filter((other) => !isSame(other))].slice(0, KEPT_MAX);
  try {
    const file = runsFile();
    const next = `${file}.${process.pid}`;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(next, `${JSON.stringify(kept)}\n`);
    renameSync(next, file);
  } catch (error) {
    say(`this run is not kept for the next: ${messageOf(error)}`);
  }
}

/** @throws if this user has no home, and `XDG_STATE_HOME` is no absolute path */
function runsFile(): string {
  const given = process.env['XDG_STATE_HOME'] ?? '';
  const state = isAbsolute(given) ? given : join(homedir(), '.local/state');
  return join(state, 'majordomo', 'bench.json');
}

/** Newest first. Of a file that is none of ours, nothing. */
function keptRuns(): readonly Run[] {
  try {
    const read: unknown = JSON.parse(readFileSync(runsFile(), 'utf8'));
    return Array.isArray(read) ? read.filter(isRun) : [];
  } catch {
    return [];
  }
}

type Check = (value: unknown) => boolean;
const isCount: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const isCountOrNull: Check = (value) => value === null || isCount(value);
const isFigure: Check = (value) => typeof value === 'number' && value >= 0 && value < Infinity;
const isAbove0: Check = (value) => isFigure(value) && Number(value) > 0;

const CHECKS: Readonly<Record<keyof Run, Check>> = {
  kind: (value) => LOAD_KINDS.some((each) => each === value),
  workers: isCountOrNull,
  concurrency: isCountOrNull,
  connections: isCount,
  outstanding: isCountOrNull,
  rate: isCountOrNull,
  size: isCount,
  seconds: isCount,
  curve: (value) => typeof value === 'boolean',
  endpoints: (value) =>
    Array.isArray(value) && value.every((each: unknown) => typeof each === 'string'),
  measuredAt: (value) => typeof value === 'string' && ISO_TIME.test(value),
  measuredSeconds: isAbove0,
  requests: isAbove0,
  failed: isCount,
  requestsPerSecond: isFigure,
  clientCpuSeconds: isFigure,
  latencyUs: (value) => LATENCIES.every((name) => isFigure(factsIn(value)?.[name])),
};

/** The first field that is missing or wrong; `null`: it is a run. */
function faultOf(value: unknown): string | null {
  const facts = factsIn(value);
  if (facts === null) return 'no object';
  const wrong = Object.entries(CHECKS).find(([name, check]) => !check(facts[name]))?.[0];
  if (wrong === undefined) return null;
  return facts[wrong] === undefined ? `${wrong} is missing` : `${wrong} is wrong`;
}

function isRun(value: unknown): value is Run {
  return faultOf(value) === null;
}

interface Row {
  readonly name: string;
  readonly valueOf: (run: Run) => number;
  readonly shown: (value: number) => string;
}

const ms = (us: number): string => `${(us / 1000).toFixed(2)} ms`;
const latency = (name: keyof Run['latencyUs']): Row => ({
  name,
  valueOf: ({ latencyUs }) => latencyUs[name],
  shown: ms,
});

function rowsOf({ kind, failed }: Run): readonly Row[] {
  const whole = (value: number): string => Math.round(value).toLocaleString('en');
  return [
    { name: UNITS[kind], valueOf: (run) => run.requestsPerSecond, shown: whole },
    ...LATENCIES.map(latency),
    {
      name: 'CPU of the clients for each',
      valueOf: (run) => (run.clientCpuSeconds * 1e6) / run.requests,
      shown: (us) => (Number.isFinite(us) ? `${us.toFixed(1)} µs` : '-'),
    },
    ...(failed > 0 ? [{ name: 'failed', valueOf: (run: Run) => run.failed, shown: whole }] : []),
  ];
}

/** @param before the run that it is compared with */
export function runText(run: Run, before: Run | null): string {
  const { connections, workers, concurrency, size, seconds, rate, outstanding } = run;
  const loop = rate === null ? `${String(outstanding)} in flight` : `${rate}/s requested`;
  const of = workers === null ? '' : `${workers} workers × ${String(concurrency)}, `;
  const keys = run.curve ? ', CURVE' : '';
  const columns: Column<Row>[] = [
    { head: '', cell: ({ name }) => name },
    { head: 'THIS RUN', cell: ({ valueOf, shown }) => shown(valueOf(run)), right: true },
  ];
  if (before !== null) {
    columns.push(
      { head: 'BEFORE', cell: ({ valueOf, shown }) => shown(valueOf(before)), right: true },
      { head: 'RATIO', cell: ({ valueOf }) => ratio(valueOf(run), valueOf(before)), right: true },
    );
  }
  const at =
    before === null
      ? ''
      : `before: ${before.measuredAt}, ${before.endpoints.map(printable).join(', ')}\n`;
  const facts = `bench ${run.kind}: ${loop}, ${connections} connections, ${of}${size} bytes, ${seconds} s${keys}\n`;
  return `${facts}${table(columns, rowsOf(run))}${at}`;
}

function ratio(now: number, before: number): string {
  const times = now / before;
  return Number.isFinite(times) ? `${times.toFixed(2)}×` : '-';
}
