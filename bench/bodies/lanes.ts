/** The ways of large bodies that are compared, and what is sent through each. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { pairOfDaemons, ROLES } from '../../test/support/pair-daemons.js';
import { type Broker, type Found, type RunningBroker, startBroker } from '../brokers.js';
import {
  type Generator,
  type LoadResult,
  type Protocol,
  resultOf,
  runLoad,
  type Window,
} from '../generator.js';
import { startOurs } from '../http/servers.js';
import { HOST } from '../ports.js';

export interface Standing {
  run(bytes: number, outstanding: number, window: Window): Promise<LoadResult>;
  stop(): Promise<void>;
}

export interface Lane {
  readonly title: string;
  readonly start: () => Promise<Standing>;
}

/** What the lanes need. */
export interface Tools {
  readonly directory: string;
  readonly found: Found;
  /** `bench/peers/bodies.c`, compiled. */
  readonly peers: string;
  readonly generator: Generator;
}

export const WORKERS = 4;
export const PROXY = '`zmq_proxy`';
export const OURS = 'Majordomo';
const SETS: readonly string[] = [
  'limits.messageBytes=64MiB',
  // A client with 100 outstanding may be sent the replies faster than it reads them.
  'limits.outputBytes=2GiB',
  'limits.queuedBytes=2GiB',
  'limits.memoryBytes=4GiB',
];
const NATS = 'max_payload: 64MB\nmax_pending: 512MB\n';
const PEERS_OF_PYTHON = join(process.cwd(), 'bench', 'bodies', 'peers.py');
const PYTHON = process.env['PYTHON'] ?? 'python3';

/** libzmq's sockets at both ends. @param isBeside see `bench/peers/bodies.c` */
export function libzmqLanes({ found, peers }: Tools, isBeside: boolean): Lane[] {
  const proxy: Broker = {
    name: 'proxy',
    version: '',
    protocol: 'mdp',
    hasWorkerPort: true,
    command: (port, _sets, workerPort) => [peers, 'proxy', String(port), String(workerPort)],
  };
  const lane = (title: string, broker: Broker, kind: string): Lane => ({
    title,
    start: async () => {
      const running = await startBroker(broker, SETS, null);
      const { port, workerPort = port, pid } = running;
      return {
        run: async (bytes, outstanding, { seconds, warmupSeconds }) => {
          const numbers = [port, workerPort, pid, bytes, outstanding, seconds, warmupSeconds];
          const args = ['load', kind, ...numbers.map(String), ...(isBeside ? ['small'] : [])];
          return await resultOf(peers, args);
        },
        stop: async () => await running.stop(),
      };
    },
  });
  return [lane(PROXY, proxy, 'proxy'), lane(OURS, ours(found), 'mdp')];
}

/** Everything else, which has peers of its own. */
export function otherLanes(tools: Tools): { readonly lanes: Lane[]; readonly absent: string[] } {
  const { directory, found, generator } = tools;
  const lanes: Lane[] = [];
  const absent: string[] = [];
  const nats = found.brokers.get('nats');
  if (nats === undefined) {
    absent.push('NATS: there is no nats-server');
  } else {
    const config = join(directory, 'nats.conf');
    writeFileSync(config, NATS);
    const command: Broker['command'] = (...all) => [...nats.command(...all), '-c', config];
    lanes.push(generated('NATS', { ...nats, command }, 'nats', generator));
  }
  lanes.push(generated('Majordomo, durable', ours(found), 'titanic', generator));
  lanes.push(inPair(generator), overHttp(generator));
  const sdk = (name: string): string => join(import.meta.dirname, '..', 'sdk', `${name}.js`);
  lanes.push(
    sdkLane('Majordomo, SDK for Node.js', ours(found), {
      worker: (endpoint) => [process.execPath, sdk('worker'), endpoint, 'zmtp', String(WORKERS)],
      client: (endpoint) => [process.execPath, sdk('client'), endpoint, 'zmtp'],
    }),
  );
  if (spawnSync(PYTHON, ['-c', 'import zmq']).status === 0) {
    lanes.push(
      sdkLane('Majordomo, SDK for Python', ours(found), {
        worker: (endpoint) => [PYTHON, PEERS_OF_PYTHON, 'serve', endpoint],
        client: (endpoint) => [PYTHON, PEERS_OF_PYTHON, 'load', endpoint],
      }),
    );
  } else {
    absent.push(`the SDK for Python: ${PYTHON} has no zmq`);
  }
  return { lanes, absent };
}

function ours({ brokers }: Found): Broker {
  const broker = brokers.get('zmtp');
  if (broker === undefined) throw new Error('no broker');
  return broker;
}

/** Peers of the load generator. A durable request counts when it is closed; its answer is short. */
async function generate(
  generator: Generator,
  target: Pick<RunningBroker, 'port' | 'pid'> & { readonly protocol: Protocol },
  bytes: number,
  outstanding: number,
  window: Window,
): Promise<LoadResult> {
  const isHttp = target.protocol === 'http';
  const load = {
    clients: isHttp ? outstanding : 1,
    workers: isHttp ? 0 : WORKERS,
    outstanding,
    size: bytes,
    life: target.protocol === 'titanic',
  };
  return await runLoad(generator, load, target, window, null);
}

function generated(title: string, broker: Broker, protocol: Protocol, generator: Generator): Lane {
  return {
    title,
    start: async () => {
      const running = await startBroker(broker, SETS, null);
      const target = { ...running, protocol };
      return {
        run: async (...load) => await generate(generator, target, ...load),
        stop: async () => await running.stop(),
      };
    },
  };
}

function inPair(generator: Generator): Lane {
  return {
    title: 'Majordomo, durable, pair',
    start: async () => {
      const pair = await pairOfDaemons({ direct: true, sets: SETS });
      await Promise.all(ROLES.map((role) => pair.start(role)));
      const active = await pair.inSync();
      const { pid = 0 } = pair.node(active).process;
      const port = Number(new URL(pair.endpointOf(active)).port);
      const target = { protocol: 'titanic', port, pid } as const;
      return {
        run: async (...load) => await generate(generator, target, ...load),
        stop: async () => {
          await Promise.all(ROLES.map((role) => pair.node(role).stop()));
        },
      };
    },
  };
}

function overHttp(generator: Generator): Lane {
  return {
    title: 'Majordomo, HTTP',
    start: async () => {
      const serving = await startOurs([], SETS);
      const [pid = 0] = serving.pids;
      const target = { protocol: 'http', port: serving.port, pid } as const;
      return {
        run: async (...load) => await generate(generator, target, ...load),
        stop: async () => await serving.stop(),
      };
    },
  };
}

interface Programs {
  /** Prints a line when it serves. */
  worker(endpoint: string): readonly string[];
  /** Is given outstanding, seconds of both kinds, the broker's process and the size of bodies, too. */
  client(endpoint: string): readonly string[];
}

function sdkLane(title: string, broker: Broker, programs: Programs): Lane {
  return {
    title,
    start: async () => {
      const running = await startBroker(broker, SETS, null);
      const endpoint = `tcp://${HOST}:${running.port}`;
      const worker = await startWorker(programs.worker(endpoint));
      return {
        run: async (bytes, outstanding, { seconds, warmupSeconds }) => {
          const numbers = [outstanding, seconds, warmupSeconds, running.pid, bytes];
          const [command = '', ...args] = programs.client(endpoint);
          return await resultOf(command, [...args, ...numbers.map(String)]);
        },
        stop: async () => {
          const ended = once(worker, 'exit');
          worker.kill('SIGKILL');
          await ended;
          await running.stop();
        },
      };
    },
  };
}

async function startWorker([command = '', ...args]: readonly string[]): Promise<ChildProcess> {
  const worker = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(worker.stdout, 'data');
  return worker;
}
