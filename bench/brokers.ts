/** The brokers to compare: whether they are installed, their versions, and how to start each. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { packageVersion } from '../src/core/version.js';
import { type CurveKeys, makeKeys } from './curve-keys.js';
import { compile, type LoadTarget, pinned, type Protocol } from './generator.js';
import { accepts, freePort, HOST } from './ports.js';

export type BrokerName =
  | 'zmtp'
  | 'libzmq'
  | 'zmtp-curve'
  | 'libzmq-curve'
  | 'mdp01'
  | 'pirates'
  | 'queue'
  | 'proxy'
  | 'before'
  | 'before-curve'
  | 'c'
  | 'nats'
  | 'gearman';

export const BROKER_TITLES: Readonly<Record<BrokerName, string>> = {
  zmtp: 'Majordomo',
  libzmq: 'Majordomo, `transport: libzmq`',
  'zmtp-curve': 'Majordomo with CURVE',
  'libzmq-curve': '`transport: libzmq` with CURVE',
  mdp01: 'Majordomo, MDP 0.1',
  pirates: 'Majordomo, Simple Pirates',
  queue: 'C queue of Simple Pirates on libzmq',
  proxy: '`zmq_proxy`',
  before: 'Majordomo before',
  'before-curve': 'Majordomo before, with CURVE',
  c: 'C broker on libzmq',
  nats: 'NATS request-reply',
  gearman: 'gearman',
};

/** A broker that is installed on this machine. */
export interface Broker {
  readonly name: BrokerName;
  readonly version: string;
  readonly protocol: Protocol;
  readonly curve?: CurveKeys;
  /** Workers use a port of their own. */
  readonly hasWorkerPort?: true;
  command(port: number, sets: readonly string[], workerPort: number): readonly string[];
}

export interface RunningBroker extends LoadTarget {
  stop(): Promise<void>;
}

/** The brokers found, and why others were not. */
export interface Found {
  readonly brokers: ReadonlyMap<BrokerName, Broker>;
  readonly absent: readonly string[];
}

type OurName = 'zmtp' | 'libzmq' | 'before';

const MAIN = join(import.meta.dirname, '..', 'program', 'main.js');
const START_MS_MAX = 15_000;
const STOP_MS_MAX = 15_000;
/** Maximum length of a broker's standard error to show if it does not start. */
const SAID_MAX = 1000;
/** Debian installs daemons in directories that are only in root's PATH. */
const ENVIRONMENT = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };

/**
 * @param directory for compiled programs, keys and data directories
 * @param hasCurve whether the generator supports CURVE
 */
export function findBrokers(directory: string, hasCurve: boolean): Found {
  const brokers = new Map<BrokerName, Broker>();
  const absent: string[] = [];
  const zeromq = spawnSync(process.execPath, ['-p', 'require("zeromq").version'], {
    encoding: 'utf8',
  });
  const keys = hasCurve ? makeKeys(MAIN, directory) : null;
  if (keys === null) absent.push('CURVE: it needs libsodium-dev, and `majordomo keygen`');
  const add = (name: OurName, version: string): void => {
    brokers.set(name, ours(name, version, directory, null));
    if (keys !== null) brokers.set(`${name}-curve`, ours(name, version, directory, keys));
  };
  add('zmtp', packageVersion());
  if (zeromq.status === 0) {
    add('libzmq', `${packageVersion()}, libzmq ${zeromq.stdout.trim()}`);
  } else {
    absent.push('`transport: libzmq`: the package zeromq cannot be loaded');
  }
  brokers.set('mdp01', { ...ours('zmtp', packageVersion(), directory, null), ...MDP_01 });
  brokers.set('pirates', pirates(directory));
  for (const broker of [cBroker(directory), cQueue(directory), nats(), gearman(directory)]) {
    if (typeof broker === 'string') absent.push(broker);
    else brokers.set(broker.name, broker);
  }
  return { brokers, absent };
}

/**
 * This version on its default transport, and one built in another directory: each without keys, and
 * with CURVE if the generator supports it.
 */
export function findBefore(
  directory: string,
  { node, root }: { readonly node: string; readonly root: string },
  hasCurve: boolean,
): Found['brokers'] {
  const keys = hasCurve ? makeKeys(MAIN, directory) : null;
  // (An earlier version is not bundled.)
  const bundled = join(root, 'build', 'program', 'main.js');
  const main = existsSync(bundled) ? bundled : join(root, 'build', 'src', 'main.js');
  const brokers = [null, ...(keys === null ? [] : [keys])].flatMap((each) => [
    ours('zmtp', packageVersion(), directory, each),
    ours('before', 'before', directory, each, [node, main]),
  ]);
  return new Map(brokers.map((broker) => [broker.name, broker]));
}

function ours(
  name: OurName,
  version: string,
  directory: string,
  keys: CurveKeys | null,
  program: readonly string[] = [process.execPath, MAIN],
): Broker {
  const transport = name === 'libzmq' ? name : 'zmtp';
  const curve = keys === null ? '' : `, curve: ${keys.listener}`;
  return {
    name: keys === null ? name : `${name}-curve`,
    version,
    protocol: 'mdp',
    ...(keys === null ? {} : { curve: keys }),
    command: (port, sets) => {
      const settings = [
        `broker.listen=[{endpoint: "tcp://${HOST}:${port}", transport: ${transport}${curve}}]`,
        `node.dataDir=${join(directory, `data-${port}`)}`,
        'http.listen=off',
        'log.format=json',
        ...sets,
      ];
      return [...program, 'serve', ...settings.flatMap((set) => ['--set', set])];
    },
  };
}

const MDP_01 = { name: 'mdp01', protocol: 'mdp01' } as const;

/** Ours with a listener for plain clients and one for their workers. */
function pirates(directory: string): Broker {
  return {
    name: 'pirates',
    version: packageVersion(),
    protocol: 'pirate',
    hasWorkerPort: true,
    command: (port, sets, workerPort) => {
      const listener = (at: number, role: string): string =>
        `{endpoint: "tcp://${HOST}:${at}", service: work, allow: [${role}]}`;
      const settings = [
        `broker.listen=[${listener(port, 'client')}, ${listener(workerPort, 'worker')}]`,
        `node.dataDir=${join(directory, `data-${port}`)}`,
        'http.listen=off',
        'log.format=json',
        ...sets,
      ];
      return [process.execPath, MAIN, 'serve', ...settings.flatMap((set) => ['--set', set])];
    },
  };
}

function cQueue(directory: string): Broker | string {
  const file = join(directory, 'queue');
  const failure = compile(file, [join(process.cwd(), 'bench', 'peers', 'queue.c')], ['-lzmq']);
  if (failure !== null) return 'the C queue: it needs gcc and libzmq3-dev';
  return {
    name: 'queue',
    version: 'as the C broker',
    protocol: 'pirate',
    hasWorkerPort: true,
    command: (port, _sets, workerPort) => [
      file,
      `tcp://${HOST}:${port}`,
      `tcp://${HOST}:${workerPort}`,
    ],
  };
}

function cBroker(directory: string): Broker | string {
  const file = join(directory, 'broker');
  const source = join(process.cwd(), 'bench', 'peers', 'broker.c');
  const failure = compile(file, [source], ['-lzmq']);
  if (failure !== null) return 'the C broker: it needs gcc and libzmq3-dev';
  const { stdout } = spawnSync(file, ['--version'], { encoding: 'utf8' });
  return {
    name: 'c',
    version: stdout.trim(),
    protocol: 'mdp',
    command: (port) => [file, `tcp://${HOST}:${port}`],
  };
}

function nats(): Broker | string {
  const version = versionOf('nats-server');
  if (version === null) return 'NATS: there is no nats-server';
  return {
    name: 'nats',
    version,
    protocol: 'nats',
    command: (port) => ['nats-server', '-a', HOST, '-p', String(port)],
  };
}

function gearman(directory: string): Broker | string {
  const version = versionOf('gearmand');
  if (version === null) return 'gearman: there is no gearmand (Debian: gearman-job-server)';
  return {
    name: 'gearman',
    version,
    protocol: 'gearman',
    command: (port) => {
      const log = join(directory, `gearmand-${port}.log`);
      return ['gearmand', '-L', HOST, '-p', String(port), '-l', log];
    },
  };
}

function versionOf(command: string): string | null {
  const { status, stdout } = spawnSync(command, ['--version'], {
    encoding: 'utf8',
    env: ENVIRONMENT,
  });
  return status === 0 ? (/\d+(\.\d+)+/.exec(stdout)?.[0] ?? 'unknown') : null;
}

/**
 * Starts a broker, and waits until it accepts connections.
 * @param sets further `--set` options for our broker
 * @param cpus the cores that it may use, or null
 */
export async function startBroker(
  broker: Broker,
  sets: readonly string[],
  cpus: readonly number[] | null,
): Promise<RunningBroker> {
  const port = await freePort();
  const workerPort = broker.hasWorkerPort === true ? await freePort() : port;
  const [command, ...args] = pinned(cpus, broker.command(port, sets, workerPort));
  const child = spawn(command ?? '', args, {
    env: ENVIRONMENT,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < SAID_MAX) said += text;
  });
  const pid = child.pid;
  const until = Date.now() + START_MS_MAX;
  while (pid === undefined || !(await accepts(port))) {
    if (pid === undefined || child.exitCode !== null || Date.now() > until) {
      await stop(child);
      throw new Error(`${BROKER_TITLES[broker.name]} does not start: ${said.trim()}`);
    }
    await sleep(50);
  }
  const { protocol, curve } = broker;
  return { protocol, port, workerPort, pid, ...(curve && { curve }), stop: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await ended;
  clearTimeout(late);
}
