/** The stores whose receipts are compared, and how to start each. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { packageVersion } from '../../src/core/version.js';
import { accepts, freePort, HOST } from '../ports.js';
import { findRestate, RESTATE_INSTALL, restate } from './restate.js';

/** Also the name of its protocol in the load generator. */
export type ContenderName = 'titanic' | 'beanstalkd' | 'redis' | 'restate';

type Command = readonly [string, ...string[]];

export interface Contender {
  readonly name: ContenderName;
  readonly title: string;
  /** What a request goes through from its beginning to its end. */
  readonly lifeTitle: string;
  readonly version: string;
  command(port: number, directory: string): Command | Promise<Command>;
  /** The worker, a program that prints `ready`. Absent: the load generator has the workers. */
  worker?(port: number, directory: string): Command;
}

export interface Running {
  readonly contender: Contender;
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

const START_MS_MAX = 10_000;
const SDK_CONCURRENCY = 100;
const MAIN = join(import.meta.dirname, '..', '..', 'program', 'main.js');
/** Debian installs daemons in directories that are only in root's PATH. */
const ENVIRONMENT = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };

/** The stores that are installed, and the names of those that are not. */
export function findContenders(): { found: readonly Contender[]; absent: readonly string[] } {
  const beanstalkd = versionOf('beanstalkd', '-v');
  const redis = versionOf('redis-server', '--version');
  const absent = [
    ...(beanstalkd === null ? ['beanstalkd (Debian: beanstalkd)'] : []),
    ...(redis === null ? ['Redis (Debian: redis-server)'] : []),
  ];
  const found = [
    TITANIC,
    ...(beanstalkd === null ? [] : [{ ...BEANSTALKD, version: beanstalkd }]),
    ...(redis === null ? [] : [{ ...REDIS, version: redis }]),
  ];
  return { found, absent };
}

/** Those whose workers are programs with an SDK, and the names of those that are not installed. */
export function findWithSdk(): { found: readonly Contender[]; absent: readonly string[] } {
  const server = findRestate();
  return server === null
    ? { found: [TITANIC_WITH_SDK], absent: [`Restate (${RESTATE_INSTALL})`] }
    : { found: [TITANIC_WITH_SDK, restate(server)], absent: [] };
}

const TITANIC: Contender = {
  name: 'titanic',
  title: 'Majordomo',
  lifeTitle: 'Majordomo: submit, worker, reply, fetch, close',
  version: packageVersion(),
  command: (port, directory) => [
    process.execPath,
    MAIN,
    'serve',
    ...[
      `broker.listen=tcp://${HOST}:${port}`,
      `node.dataDir=${directory}`,
      'http.listen=off',
      'log.format=json',
    ].flatMap((set) => ['--set', set]),
  ],
};

const TITANIC_WITH_SDK: Contender = {
  ...TITANIC,
  lifeTitle: 'Majordomo: submit, `Worker`, reply, fetch, close',
  worker: (port) => [
    process.execPath,
    join(import.meta.dirname, '..', 'sdk', 'worker.js'),
    `tcp://${HOST}:${port}`,
    'zmtp',
    String(SDK_CONCURRENCY),
    'done',
  ],
};

const BEANSTALKD: Contender = {
  name: 'beanstalkd',
  title: 'beanstalkd `-f 0`',
  lifeTitle: 'beanstalkd `-f 0`: `put`, `reserve`, `delete`',
  version: '',
  command: (port, directory) => [
    ...(['beanstalkd', '-l', HOST, '-p', String(port)] as const),
    ...['-b', directory, '-f', '0'],
  ],
};

const REDIS: Contender = {
  name: 'redis',
  title: 'Redis `RPUSH`, `appendfsync always`',
  lifeTitle: 'Redis reliable queue: `RPUSH`, `BLMOVE`, `LREM`',
  version: '',
  command: (port, directory) => [
    ...(['redis-server', '--bind', HOST, '--port', String(port), '--dir', directory] as const),
    ...['--save', '', '--appendonly', 'yes', '--appendfsync', 'always'],
    ...['--auto-aof-rewrite-percentage', '0'],
  ],
};

/** Starts it and its worker, and waits until it accepts connections and the worker is ready. */
export async function startContender(
  contender: Contender,
  parent: string,
  environment: NodeJS.ProcessEnv = {},
): Promise<Running> {
  const port = await freePort();
  const directory = join(parent, `${contender.name}-${port}`);
  mkdirSync(directory, { mode: 0o700 });
  const children: ChildProcess[] = [];
  const start = ([command, ...args]: Command): ChildProcess => {
    const env = { ...ENVIRONMENT, ...environment };
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
    children.push(child);
    return child;
  };
  const stopAll = async (): Promise<void> => {
    await Promise.all(children.map(stop));
  };
  try {
    const server = start(await contender.command(port, directory));
    server.stdout?.resume();
    await started(server, () => accepts(port));
    const worker = contender.worker?.(port, directory);
    if (worker !== undefined) await isReady(start(worker));
    return { contender, port, pid: server.pid ?? 0, stop: stopAll };
  } catch (error) {
    await stopAll();
    throw new Error(`${contender.title} does not start`, { cause: error });
  }
}

async function started(child: ChildProcess, isUp: () => Promise<boolean>): Promise<void> {
  const until = Date.now() + START_MS_MAX;
  while (!(await isUp())) {
    if (child.pid === undefined || child.exitCode !== null) throw new Error('it has ended');
    if (Date.now() > until) throw new Error(`not within ${START_MS_MAX} ms`);
    await sleep(50);
  }
}

async function isReady(worker: ChildProcess): Promise<void> {
  let output = '';
  worker.stdout?.on('data', (part: Buffer) => {
    output += part.toString();
  });
  await started(worker, () => Promise.resolve(/^ready$/m.test(output)));
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

function versionOf(command: string, option: string): string | null {
  const { status, stdout } = spawnSync(command, [option], { encoding: 'utf8', env: ENVIRONMENT });
  return status === 0 ? (/\d+(\.\d+)+/.exec(stdout)?.[0] ?? 'unknown') : null;
}
