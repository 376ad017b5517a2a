/** The stores whose receipts are compared, and how to start each. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { packageVersion } from '../../src/core/version.js';
import { accepts, freePort, HOST } from '../ports.js';

/** Also the name of its protocol in the load generator. */
export type ContenderName = 'titanic' | 'beanstalkd' | 'redis';

export interface Contender {
  readonly name: ContenderName;
  readonly title: string;
  /** What a request goes through from its beginning to its end. */
  readonly lifeTitle: string;
  readonly version: string;
  command(port: number, directory: string): readonly [string, ...string[]];
}

export interface Running {
  readonly contender: Contender;
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

const START_MS_MAX = 10_000;
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

/** Starts it, and waits until it accepts connections. */
export async function startContender(
  contender: Contender,
  parent: string,
  environment: NodeJS.ProcessEnv = {},
): Promise<Running> {
  const port = await freePort();
  const directory = join(parent, `${contender.name}-${port}`);
  mkdirSync(directory, { mode: 0o700 });
  const [command, ...args] = contender.command(port, directory);
  const child = spawn(command, args, {
    env: { ...ENVIRONMENT, ...environment },
    stdio: 'ignore',
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${contender.title} does not start`);
  const until = Date.now() + START_MS_MAX;
  while (!(await accepts(port))) {
    if (child.exitCode !== null || Date.now() > until) {
      await stop(child);
      throw new Error(`${contender.title} does not start`);
    }
    await sleep(50);
  }
  return { contender, port, pid, stop: () => stop(child) };
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
