/**
 * `majordomo bench`: measures a broker from here. Clients and workers run in processes of their own
 * and use a service name of their own, so that nothing else is measured.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';

import { Argument, type Command } from 'commander';

import { MajordomoError } from '../../core/errors.js';
import { EXIT } from '../../core/exit.js';
import { temporaryService } from '../../core/temporary-service.js';
import { endpointsOf } from '../connection/endpoints.js';
import type { FromPart, LoadKind, LoadPlan, LoadProgress, LoadResult } from './load/messages.js';
import { addEndpointOption, type EndpointOptions } from '../connection/options.js';
import { ownFile } from '../../core/own-file.js';
import { addOutputOption, type OutputOptions, tell } from '../common/formats.js';
import { type Done, examples, integerOption, usage } from '../common/options.js';
import { OTHER_BROKER } from '../connection/curve.js';

const EXAMPLES = [
  ['majordomo bench', 'maximum rate with 100 requests in flight'],
  ['majordomo bench --outstanding 1000 --size 1024', 'more requests in flight, larger bodies'],
  ['majordomo bench --rate 5000 --seconds 30', 'the latency at a given rate'],
  [
    'majordomo bench durable --size 1024',
    'receipts of durable requests, which it closes afterwards',
  ],
  ['majordomo bench -o json', 'for scripts'],
] as const;

const WARM_UP_MS = 1000;
const OF_ECHO = ['workers', 'concurrency'] as const;

interface BenchOptions extends EndpointOptions, OutputOptions {
  readonly outstanding: number;
  readonly rate: number;
  readonly connections: number;
  readonly workers: number;
  readonly concurrency: number;
  readonly size: number;
  readonly seconds: number;
}

export function define(command: Command, done: Done): void {
  addOutputOption(addEndpointOption(command))
    .addArgument(
      new Argument('[kind]', 'what to measure: replies of workers, or receipts of durable requests')
        .choices(['echo', 'durable'])
        .default('echo'),
    )
    .addOption(integerOption('--outstanding <n>', 'requests in flight', 1, 1_000_000).default(100))
    .addOption(
      integerOption(
        '--rate <n>',
        'send this many requests per second instead, without waiting for replies',
        1,
        10_000_000,
      ),
    )
    .addOption(
      integerOption('--connections <n>', 'number of client connections', 1, 10_000).default(4),
    )
    .addOption(integerOption('--workers <n>', 'workers', 1, 10_000).default(4))
    .addOption(
      integerOption(
        '--concurrency <n>',
        'requests that each worker handles at once',
        1,
        10_000,
      ).default(100),
    )
    .addOption(
      integerOption('--size <bytes>', 'bytes of each request body', 0, 1 << 24).default(16),
    )
    .addOption(integerOption('--seconds <n>', 'how long to measure', 1, 86_400).default(5))
    .addHelpText('after', examples(EXAMPLES))
    .action(async (kind: LoadKind, options: BenchOptions) => {
      const given = OF_ECHO.find((name) => command.getOptionValueSource(name) === 'cli');
      if (kind === 'durable' && given !== undefined) {
        throw usage(`--${given}: bench durable starts no workers`);
      }
      const plan = planOf(kind, options, await endpointsOf(options, 'both'));
      const result = await measure(plan);
      await tell(options.output, resultJson(plan, result), resultText(plan, result));
      done(result.failed > 0 ? EXIT.failed : EXIT.done);
    });
}

function planOf(kind: LoadKind, options: BenchOptions, endpoints: readonly string[]): LoadPlan {
  const { workers, concurrency, connections, outstanding, size, seconds } = options;
  return {
    kind,
    endpoints,
    service: temporaryService(randomUUID()),
    workers,
    concurrency,
    connections: options.rate > 0 ? connections : Math.min(connections, outstanding),
    outstanding,
    rate: options.rate > 0 ? options.rate : 0,
    size,
    warmUpMs: WARM_UP_MS,
    measureMs: seconds * 1000,
  };
}

async function measure(plan: LoadPlan): Promise<LoadResult> {
  if (plan.kind === 'durable') return await measureClients(plan);
  const workers = start('workers', plan);
  try {
    await heard(workers, 'ready');
    return await measureClients(plan);
  } finally {
    workers.kill();
  }
}

async function measureClients(plan: LoadPlan): Promise<LoadResult> {
  const clients = start('clients', plan);
  try {
    return await heard(clients, 'result');
  } finally {
    clients.kill();
  }
}

const PARTS = {
  clients: ownFile('cli/diagnosis/load/clients.js'),
  workers: ownFile('cli/diagnosis/load/workers.js'),
};

function start(part: keyof typeof PARTS, plan: LoadPlan): ChildProcess {
  return fork(PARTS[part], [JSON.stringify(plan)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

/** Waits for the process's message of that kind; throws if it failed, shows its progress. */
function heard<Kind extends FromPart['kind']>(
  part: ChildProcess,
  kind: Kind,
): Promise<Extract<FromPart, { kind: Kind }>> {
  return new Promise((resolve, reject) => {
    part.on('message', (message: FromPart) => {
      if (message.kind === 'failed') {
        const more = message.code === 'ERR_MDP_UNREACHABLE' ? OTHER_BROKER : '';
        reject(new MajordomoError(message.code, message.message + more));
      } else if (message.kind === 'progress') {
        showProgress(message);
      }
      if (isOfKind(message, kind)) resolve(message);
    });
    part.once('exit', () => {
      reject(new MajordomoError('ERR_INTERNAL', 'a process of the benchmark ended early'));
    });
  });
}

function isOfKind<Kind extends FromPart['kind']>(
  message: FromPart,
  kind: Kind,
): message is Extract<FromPart, { kind: Kind }> {
  return message.kind === kind;
}

function showProgress({ repliesPerSecond, outstanding }: LoadProgress): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(
    `\r${repliesPerSecond.toLocaleString('en')} replies/s, ${outstanding} in flight   `,
  );
}

function resultJson(plan: LoadPlan, result: LoadResult): Readonly<Record<string, unknown>> {
  const { requests, failed, seconds, latencyUs, cpuSeconds } = result;
  const { kind, workers, concurrency, connections, outstanding, rate, size } = plan;
  return {
    kind,
    ...(kind === 'echo' ? { workers, concurrency } : {}),
    connections,
    ...(rate > 0 ? { rate } : { outstanding }),
    size,
    seconds,
    requests,
    failed,
    requestsPerSecond: requests / seconds,
    latencyUs,
    clientCpuSeconds: cpuSeconds,
  };
}

function resultText(plan: LoadPlan, result: LoadResult): string {
  const { latencyUs } = result;
  const ms = (us: number): string => `${(us / 1000).toFixed(2)} ms`;
  const loop = plan.rate > 0 ? `${plan.rate}/s requested` : `${plan.outstanding} in flight`;
  const workers = plan.kind === 'echo' ? `${plan.workers} workers × ${plan.concurrency}, ` : '';
  const unit = plan.kind === 'echo' ? 'requests/s' : 'receipts/s, each for a request on disk';
  const lines = [
    `${Math.round(result.requests / result.seconds).toLocaleString('en')} ${unit}`,
    `  ${loop}, ${plan.connections} connections, ${workers}${plan.size} bytes`,
    `  p50 ${ms(latencyUs.p50)}   p99 ${ms(latencyUs.p99)}   p99.9 ${ms(latencyUs['p99.9'])}   max ${ms(latencyUs.max)}`,
  ];
  if (result.failed > 0) lines.push(`  ${result.failed} failed`);
  const isOverDrawn = process.stderr.isTTY;
  return `${isOverDrawn ? '\n' : ''}${lines.join('\n')}\n`;
}
