/** A NATS server as a real process, for tests of a fleet. Call `endNats` in `afterEach`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';

import { freePorts } from './free-ports.js';
import { until } from './until.js';

const running = new Set<NatsServer>();

export class NatsServer {
  readonly port: number;
  readonly #monitor: number;
  readonly #args: readonly string[];
  #process: ChildProcess | null = null;

  private constructor(port: number, monitor: number, args: readonly string[]) {
    this.port = port;
    this.#monitor = monitor;
    this.#args = args;
  }

  static async start(...args: readonly string[]): Promise<NatsServer> {
    const [port = 0, monitor = 0] = await freePorts(2);
    const made = new NatsServer(port, monitor, args);
    await made.starts();
    return made;
  }

  /** Servers of one cluster: what is published at one of them is received at all. */
  static async cluster(count: number): Promise<NatsServer[]> {
    const routes = (await freePorts(count)).map((port) => `nats://127.0.0.1:${port}`);
    const starting = routes.map((own) => {
      return NatsServer.start(
        ...['--cluster_name', 'test', '-cluster', own, '-routes', routes.join(',')],
      );
    });
    return await Promise.all(starting);
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Starts it, again at the same port. */
  async starts(): Promise<void> {
    const ports = ['-p', String(this.port), '-m', String(this.#monitor)];
    const args = ['-a', '127.0.0.1', ...ports, ...this.#args];
    this.#process = spawn('nats-server', args, { stdio: 'ignore' });
    running.add(this);
    await until(() => isOpen(this.port), 'nats-server listens');
  }

  /** The names of the clients that are connected to it. */
  async clients(): Promise<readonly string[]> {
    const answer = await fetch(`http://127.0.0.1:${this.#monitor}/connz`);
    const { connections } = (await answer.json()) as { connections: { name: string }[] };
    return connections.map(({ name }) => name);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  async kill(): Promise<void> {
    const ending = this.#process;
    this.#process = null;
    running.delete(this);
    if (ending?.exitCode !== null || ending.signalCode !== null) return;
    const ended = once(ending, 'exit');
    ending.kill('SIGKILL');
    await ended;
  }
}

/** Kills every server that was started. */
export async function endNats(): Promise<void> {
  await Promise.all([...running].map((server) => server.kill()));
}

async function isOpen(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
