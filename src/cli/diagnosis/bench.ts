/**
 * `majordomo bench`: measures a broker from here. Clients and workers run in processes of their own
 * and use a service name of their own, so that nothing else is measured.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';

import { Argument, type Command, Option } from 'commander';

import { MajordomoError } from '../../core/errors.js';
import { EXIT, EXIT_SIGNALLED } from '../../core/exit.js';
import { ownFile } from '../../core/own-file.js';
import { temporaryService } from '../../core/temporary-service.js';
import { addOutputOption, type OutputOptions, tell } from '../common/formats.js';
import { type Done, examples, integerOption, usage } from '../common/options.js';
import { say } from '../common/output.js';
import { type Progress, withProgress } from '../common/progress.js';
import { Broker } from '../connection/broker.js';
import { curveOf, keyRemedy, OTHER_BROKER } from '../connection/curve.js';
import { checkedList } from '../connection/endpoints.js';
import { addEndpointOption, type BrokerOptions } from '../connection/options.js';
import {
  type FromPart,
  LOAD_KINDS,
  type LoadKind,
  type LoadPlan,
  type LoadResult,
} from './load/messages.js';
import { differenceOf, keepRun, lastRun, readRun, runOf, runText } from './load/runs.js';

const EXAMPLES = [
  ['majordomo bench', 'maximum rate with 100 requests in flight'],
  ['majordomo bench --outstanding 1000 --size 1024', 'more requests in flight, larger bodies'],
  ['majordomo bench --rate 5000 --seconds 30', 'the latency at a given rate'],
  [
    'majordomo bench durable --size 1024',
    'receipts of durable requests, which it closes afterwards',
  ],
  [
    'majordomo bench fleet --endpoint tcp://a:5555 --worker-endpoint tcp://b:5555',
    'replies of workers that another broker of the fleet has',
  ],
  [
    'majordomo bench map --map tcp://127.0.0.1:5570',
    'changes of keys, which it deletes afterwards',
  ],
  ['majordomo bench -o json > before.json', 'keep a run,'],
  ['majordomo bench --compare before.json', 'and compare a later one with it'],
] as const;

const AFTER = `${examples(EXAMPLES)}
The table compares the run with the last one of the same kind and options on this machine, whatever broker it was, or
with the one in the file of --compare. Runs are kept in $XDG_STATE_HOME/majordomo/bench.json (default: ~/.local/state).

Ctrl-C ends it at once, but bench durable first closes what it has stored, for at most ten seconds; Ctrl-C again ends it
at once. The broker deletes what is left after titanic.requestTtlMs, and the keys of an interrupted bench map after a minute.
`;

const WARM_UP_MS = 1000;
/** Options that only some kinds have. */
const ONLY: Readonly<Record<string, readonly LoadKind[]>> = {
  workers: ['echo', 'fleet'],
  concurrency: ['echo', 'fleet'],
  workerEndpoint: ['fleet'],
  map: ['map'],
  endpoint: ['echo', 'fleet', 'durable'],
};

interface BenchOptions extends BrokerOptions, OutputOptions {
  readonly workerEndpoint?: string;
  readonly map?: string;
  readonly outstanding: number;
  readonly rate: number;
  readonly connections: number;
  readonly workers: number;
  readonly concurrency: number;
  readonly size: number;
  readonly seconds: number;
  readonly compare?: string;
}

export function define(command: Command, done: Done): void {
  addOutputOption(addEndpointOption(command))
    .addArgument(
      new Argument(
        '[kind]',
        'what to measure: replies of workers, also of those of another broker of the fleet; receipts of durable requests; or changes of the map',
      )
        .choices(LOAD_KINDS)
        .default('echo'),
    )
    .option('--worker-endpoint <endpoint>', 'of fleet: the broker that the workers connect to')
    .option('--map <endpoint>', 'of map: the endpoint of map.listen; of a pair both, with a comma')
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
    .addOption(
      new Option('--compare <file>', 'compare with this run instead: the JSON of an earlier bench'),
    )
    .addHelpText('after', AFTER)
    .action(async (kind: LoadKind, options: BenchOptions) => {
      for (const [name, kinds] of Object.entries(ONLY)) {
        if (command.getOptionValueSource(name) !== 'cli' || kinds.includes(kind)) continue;
        throw usage(
          `${flagOf(command, name)} is not for bench ${kind}: only for ${kinds.join(', ')}`,
        );
      }
      const plan = await planOf(kind, options);
      const before = options.compare === undefined ? lastRun(plan) : readRun(options.compare);
      const difference = before === null ? null : differenceOf(plan, before);
      if (difference !== null) throw usage(`--compare ${options.compare ?? ''}: ${difference}`);
      const run = runOf(plan, await measure(plan));
      await tell(options.output, run, {
        text: () => runText(run, before),
        json: () => ({ ...run, before }),
      });
      keepRun(run);
      done(run.failed > 0 || run.requests === 0 ? EXIT.failed : EXIT.done);
    });
}

function flagOf(command: Command, name: string): string {
  return command.options.find((option) => option.attributeName() === name)?.long ?? name;
}

async function planOf(kind: LoadKind, options: BenchOptions): Promise<LoadPlan> {
  const { workers, concurrency, connections, outstanding, size, seconds } = options;
  const { workerEndpoint, map } = options;
  if (kind === 'fleet' && workerEndpoint === undefined) {
    throw usage('bench fleet needs --worker-endpoint: another broker of the fleet');
  }
  if (kind === 'map' && map === undefined) {
    throw usage('bench map needs --map: the endpoint of map.listen');
  }
  const endpoints =
    map === undefined ? await new Broker(options).endpoints('both') : checkedList(map, '--map');
  return {
    kind,
    endpoints,
    workerEndpoints:
      workerEndpoint === undefined ? endpoints : checkedList(workerEndpoint, '--worker-endpoint'),
    keys: curveOf(options),
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
  if (plan.kind === 'durable' || plan.kind === 'map') return await measureClients(plan);
  const workers = start('workers', plan);
  try {
    await heard(workers, 'ready', plan);
    return await measureClients(plan);
  } finally {
    workers.kill();
  }
}

async function measureClients(plan: LoadPlan): Promise<LoadResult> {
  const clients = start('clients', plan);
  try {
    return await heard(clients, 'result', plan);
  } finally {
    clients.kill();
  }
}

const PARTS = {
  clients: ownFile('cli/diagnosis/load/clients.js'),
  workers: ownFile('cli/diagnosis/load/workers.js'),
};

function start(part: keyof typeof PARTS, plan: LoadPlan): ChildProcess {
  const child = fork(PARTS[part], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // Keys are bytes.
    serialization: 'advanced',
    // An error says it.
    execArgv: ['--no-warnings'],
  });
  child.send(plan);
  return child;
}

/** Waits for the process's message of that kind; throws if it failed, shows its progress. */
async function heard<Kind extends FromPart['kind']>(
  part: ChildProcess,
  kind: Kind,
  plan: LoadPlan,
): Promise<Extract<FromPart, { kind: Kind }>> {
  return await withProgress(`bench ${plan.kind}`, (progress) => {
    let seconds = 0;
    if (plan.kind === 'durable') closeOnSignal(part, progress);
    return new Promise((resolve, reject) => {
      part.on('message', (message: FromPart) => {
        if (message.kind === 'failed') {
          reject(new MajordomoError(message.code, message.message + moreOf(message.code, plan)));
        } else if (message.kind === 'progress') {
          const { perSecond, outstanding } = message;
          const all = Math.round((plan.warmUpMs + plan.measureMs) / 1000);
          const rate = perSecond.toLocaleString('en');
          progress.say(`${++seconds} of ${all} s: ${rate}/s, ${outstanding} in flight`);
        }
        if (isOfKind(message, kind)) resolve(message);
      });
      part.once('exit', () => {
        reject(new MajordomoError('ERR_INTERNAL', 'a process of the benchmark ended early'));
      });
    });
  });
}

/** The first signal lets the clients close what they have stored; the second ends all at once. */
function closeOnSignal(clients: ChildProcess, progress: Progress): void {
  let isClosing = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (isClosing) process.exit(EXIT_SIGNALLED[signal]);
      isClosing = true;
      progress.end();
      say('closing the requests that it has stored; signal again to end at once');
      clients.kill();
      clients.once('exit', (status) => {
        const left = 'some may not be closed: they stay until titanic.requestTtlMs is over';
        say(status === 0 ? 'all of them are closed' : left);
        process.exit(EXIT_SIGNALLED[signal]);
      });
    });
  }
}

/** What to do about an error of the SDK. */
function moreOf(code: string, { kind, keys }: LoadPlan): string {
  if (code === 'ERR_MDP_KEY_REFUSED') return `: the broker ${keyRemedy(keys.curve, 'client')}`;
  if (code !== 'ERR_MDP_UNREACHABLE') return '';
  return kind === 'map' ? '; name the endpoint of map.listen with --map' : OTHER_BROKER;
}

function isOfKind<Kind extends FromPart['kind']>(
  message: FromPart,
  kind: Kind,
): message is Extract<FromPart, { kind: Kind }> {
  return message.kind === kind;
}
