/**
 * The load generator (`bench/load/*.c`): compiled if gcc is installed, then run once per
 * measurement.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

export type Protocol =
  | 'mdp'
  | 'mdp01'
  | 'pirate'
  | 'nats'
  | 'gearman'
  | 'titanic'
  | 'titanic-call'
  | 'beanstalkd'
  | 'redis'
  | 'http'
  | 'http-traced'
  | 'http-varied'
  | 'http-parsed'
  | 'http-durable'
  | 'http-events'
  | 'restate';

/** The generator's load; see the options in `load/main.c`. */
export interface Load {
  /** Numbers of client and worker connections. */
  readonly clients: number;
  readonly workers: number;
  /** Requests outstanding, over all clients together. */
  readonly outstanding: number;
  /** Worker credit (D23), MDP and Titanic only. Default 1. */
  readonly credit?: number;
  /** Size of a body in bytes. Default 16. */
  readonly size?: number;
  /**
   * Number of services that the workers offer, and how many of these get requests. Defaults 1 and
   * all.
   */
  readonly services?: number;
  readonly busy?: number;
  /**
   * Writes each message separately; otherwise all messages of one turn of the generator's loop
   * together.
   */
  readonly single?: boolean;
  /** Requests per second of an open loop. Default: a closed loop. */
  readonly rate?: number;
  /** Number of connections that do nothing. */
  readonly idle?: number;
  /** Number of requests that wait throughout for a service without workers. */
  readonly queued?: number;
  /**
   * Stores only: a request counts when a worker has executed it and it is closed. Otherwise it
   * counts when it is stored.
   */
  readonly life?: boolean;
  /** Default 2500. */
  readonly heartbeatMs?: number;
}

/** The target of the load. */
export interface LoadTarget {
  readonly protocol: Protocol;
  readonly port: number;
  /** Where workers connect; default: there, too. */
  readonly workerPort?: number;
  /** Process id of the broker, whose CPU time is read at both ends of the window. */
  readonly pid: number;
  /** Further processes whose CPU time counts as the broker's. */
  readonly morePids?: readonly number[];
  /** CURVE: the broker's public key and the generator's secret key, both in hexadecimal. */
  readonly curve?: { readonly serverKey: string; readonly secretKey: string };
}

/** The length of one measurement. */
export interface Window {
  readonly seconds: number;
  readonly warmupSeconds: number;
}

/** The result of one measurement. CPU time is user and system time of all threads. */
export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly loadCpuSeconds: number;
  readonly brokerCpuSeconds: number;
  readonly brokerResidentBytes: number;
}

/** A compiled generator. */
export interface Generator {
  readonly file: string;
  /** False if libsodium's headers are absent. */
  readonly hasCurve: boolean;
}

const SOURCES = join(process.cwd(), 'bench', 'load');
const FLAGS = ['-O2', '-Wall', '-Wextra', '-D_GNU_SOURCE'];

/** Runs gcc. Returns null if it succeeded, else its output. */
export function compile(
  out: string,
  sources: readonly string[],
  more: readonly string[],
): string | null {
  const { status, error, stderr } = spawnSync('gcc', [...FLAGS, '-o', out, ...sources, ...more], {
    encoding: 'utf8',
  });
  if (status === 0) return null;
  return error === undefined ? stderr : 'gcc is absent';
}

/** Compiles the generator into `directory`, with CURVE if possible. @throws gcc's output */
export function compileGenerator(directory: string): Generator {
  const file = join(directory, 'load');
  const sources = readdirSync(SOURCES)
    .filter((name) => name.endsWith('.c'))
    .map((name) => join(SOURCES, name));
  if (compile(file, sources, ['-DWITH_CURVE', '-lsodium']) === null) {
    return { file, hasCurve: true };
  }
  const failure = compile(file, sources, []);
  if (failure !== null) throw new Error(`the load generator: ${failure}`);
  return { file, hasCurve: false };
}

/**
 * Runs the generator to its end.
 * @param cpu the core to pin it to, or null
 */
export async function runLoad(
  generator: Generator,
  load: Load,
  target: LoadTarget,
  window: Window,
  cpu: number | null,
): Promise<LoadResult> {
  const args = loadArguments(load, target, window);
  const [command, ...rest] = pinned(cpu === null ? null : [cpu], [generator.file, ...args]);
  return await resultOf(command ?? generator.file, rest);
}

/** A command line that runs only on those cores. */
export function pinned(cpus: readonly number[] | null, command: readonly string[]): string[] {
  return cpus === null ? [...command] : ['taskset', '-c', cpus.join(','), ...command];
}

/** Runs a program that ends with one line of JSON, a `LoadResult`. */
export async function resultOf(command: string, args: readonly string[]): Promise<LoadResult> {
  const child = spawn(command, [...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  if (child.exitCode !== 0) throw new Error(stderr.trim() || `it ended with ${child.exitCode}`);
  return readResult(JSON.parse(stdout));
}

function readResult(value: unknown): LoadResult {
  const fields = new Map<string, unknown>(
    typeof value === 'object' && value !== null ? Object.entries(value) : [],
  );
  const number = (name: keyof LoadResult): number => {
    const field = fields.get(name);
    if (typeof field !== 'number') throw new Error(`no ${name} in what the generator printed`);
    return field;
  };
  return {
    requests: number('requests'),
    seconds: number('seconds'),
    p50Us: number('p50Us'),
    p99Us: number('p99Us'),
    p999Us: number('p999Us'),
    loadCpuSeconds: number('loadCpuSeconds'),
    brokerCpuSeconds: number('brokerCpuSeconds'),
    brokerResidentBytes: number('brokerResidentBytes'),
  };
}

function loadArguments(load: Load, target: LoadTarget, window: Window): string[] {
  const isMdp = target.protocol === 'mdp';
  const values: Readonly<Record<string, string | number | undefined>> = {
    protocol: target.protocol,
    port: target.port,
    'worker-port': target.workerPort,
    clients: load.clients,
    workers: load.workers,
    outstanding: load.outstanding,
    size: load.size,
    services: load.services,
    busy: load.busy,
    rate: load.rate,
    idle: load.idle,
    credit: isMdp || target.protocol.startsWith('titanic') ? load.credit : undefined,
    queued: isMdp ? load.queued : undefined,
    'heartbeat-ms': load.heartbeatMs,
    seconds: window.seconds,
    warmup: window.warmupSeconds,
    'server-key': target.curve?.serverKey,
    'secret-key': target.curve?.secretKey,
  };
  const args = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
  const pids = [target.pid, ...(target.morePids ?? [])].flatMap((pid) => ['--pid', String(pid)]);
  const flags = [load.single === true ? '--single' : '--batch', ...(load.life ? ['--life'] : [])];
  return [...args, ...pids, ...flags];
}
