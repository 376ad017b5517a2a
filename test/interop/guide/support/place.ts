/**
 * Where one case runs: the Guide's programs have `localhost` and their ports built in, so each case
 * has a network namespace of its own. Brokers, the Guide's programs and our raw peers run in it. The
 * SDK runs in this process, and reaches the brokers by ipc, which is not divided by networks.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { Client } from '../../../../src/sdk/client.js';
import { type Handler, Worker } from '../../../../src/sdk/worker.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../../support/daemon.js';
import { until } from '../../../support/until.js';
import { killPrograms, Program, pythonLine } from '../../support/program.js';
import { closePeers, RawPeer } from '../../support/raw-peer.js';
import { builtProgram } from './build.js';

/** The only service: the Guide's clients and workers call it so where they name one. */
export const ECHO = 'echo';

export interface BrokerOptions {
  /** Entries of `broker.listen`, besides that of the SDK. */
  readonly listen: readonly unknown[];
  /** Further `--set` options. */
  readonly sets?: readonly string[];
  /** That of a broker that was killed. */
  readonly dataDir?: string;
}

/** A listener of the Guide's port for plain and Freelance clients. */
export function clientsAt(port: number): object {
  const endpoint = `tcp://127.0.0.1:${port}`;
  return { endpoint, service: ECHO, allow: ['client'], public: `tcp://localhost:${port}` };
}

/** A listener of the Guide's port for pirate workers. */
export function workersAt(port: number): object {
  return { endpoint: `tcp://127.0.0.1:${port}`, service: ECHO, allow: ['worker'] };
}

let made = 0;

export class Place {
  readonly #netns = `mdp-guide-${process.pid}-${made++}`;
  readonly #workers: Worker[] = [];
  readonly #clients: Client[] = [];
  #directory: string | null = null;
  #isOpen = true;

  constructor() {
    execFileSync('ip', ['netns', 'add', this.#netns]);
    execFileSync('ip', ['-n', this.#netns, 'link', 'set', 'lo', 'up']);
  }

  /** Starts a broker; its first endpoint is the SDK's. */
  broker({ listen, sets = [], dataDir = temporaryDirectory() }: BrokerOptions): Promise<Daemon> {
    const all = [{ endpoint: `ipc://${dataDir}/mdp` }, ...listen];
    return startDaemon({
      endpoint: null,
      netns: this.#netns,
      dataDir,
      sets: [`broker.listen=${JSON.stringify(all)}`, ...sets],
    });
  }

  /** Starts a program of the Guide. What it prints are events: whole lines. */
  program(name: string, ...args: readonly string[]): Program {
    const directory = (this.#directory ??= temporaryDirectory());
    const line = ['env', '-C', directory, 'stdbuf', '-oL', builtProgram(name), ...args];
    return this.#start(name, line, (text) => ({ event: text }));
  }

  /**
   * The same for a worker that fails at random: in a second of its own, which is the seed of its
   * random numbers, and so of its identity.
   */
  async unlike(name: string): Promise<Program> {
    await nextSecond();
    return this.program(name);
  }

  /**
   * Keeps `count` of such a worker running: each that ends is started again.
   * @param started called with each of them
   */
  async keep(name: string, count: number, started: (program: Program) => void): Promise<void> {
    for (let index = 0; index < count; index++) {
      await nextSecond();
      if (!this.#isOpen) return;
      const program = this.program(name);
      started(program);
      void program.exited.then(() => this.keep(name, 1, started));
    }
  }

  /** Starts a Python program of `test/interop/programs`. */
  python(name: string, ...args: readonly (string | number)[]): Program {
    return this.#start(name, pythonLine(name, ...args));
  }

  /** Starts a program of `programs/`, which uses the SDK. */
  sdk(name: string, ...args: readonly (string | number)[]): Program {
    const path = fileURLToPath(new URL(`../programs/${name}.js`, import.meta.url));
    return this.execute(process.execPath, path, ...args.map(String));
  }

  /** Starts another program that prints JSON. */
  execute(...line: readonly string[]): Program {
    return this.#start(line.join(' '), line);
  }

  /** Starts a worker of the SDK for `echo`; it has registered at one of the brokers, at least. */
  async worker(daemons: Daemon | readonly Daemon[], handler: Handler): Promise<void> {
    const endpoints = [daemons].flat().map(({ endpoint }) => endpoint);
    const worker = new Worker({ endpoints, service: ECHO }, handler);
    this.#workers.push(worker);
    void worker.run();
    await worker.ready;
  }

  /** A client of the SDK that sends each request once, and is patient. */
  client(daemon: Daemon): Client {
    const client = new Client({ endpoints: daemon.endpoint, timeoutMs: 60_000 });
    this.#clients.push(client);
    return client;
  }

  /** Waits until that many workers are registered. */
  untilWorkers(daemon: Daemon, count: number): Promise<void> {
    return untilMmi(daemon, 'mmi.workers', ({ length }) => length === count);
  }

  /** Waits until a request for `echo` waits for a worker. */
  untilQueued(daemon: Daemon): Promise<void> {
    return untilMmi(daemon, 'mmi.services', (services) =>
      services.some(({ service, queued }) => service === ECHO && queued === 1),
    );
  }

  /** Ends everything that runs here; for `afterEach`. */
  async remove(): Promise<void> {
    this.#isOpen = false;
    try {
      await Promise.all(this.#clients.map((client) => client.close()));
      await Promise.all(this.#workers.map((worker) => worker.close()));
      closePeers();
      await killPrograms();
      await removeDaemons();
    } finally {
      execFileSync('ip', ['netns', 'delete', this.#netns]);
    }
  }

  #start(
    name: string,
    line: readonly string[],
    read?: (text: string) => { event: string },
  ): Program {
    return new Program(name, 'ip', ['netns', 'exec', this.#netns, ...line], read);
  }
}

/** Of mmi.services and mmi.workers. */
interface Entry {
  readonly service: string;
  readonly queued?: number;
}

async function untilMmi(
  daemon: Daemon,
  service: string,
  holds: (found: readonly Entry[]) => boolean,
): Promise<void> {
  const peer = new RawPeer(daemon.endpoint);
  await peer.untilMmi(service, holds);
  peer.close();
}

/** Waits until another second of the wall clock begins. */
function nextSecond(): Promise<void> {
  const second = (): number => Math.floor(Date.now() / 1000);
  const before = second();
  return until(() => second() !== before, 'the next second');
}

/** What a program of the Guide printed, whole; it must have ended well. */
export async function printed(program: Program): Promise<string> {
  const lines = await program.finished();
  return lines.map(({ event }) => event).join('\n');
}

/** Waits for its end, and expects that line among what it printed. */
export async function expectPrinted(program: Program, line: string): Promise<void> {
  expect((await printed(program)).split('\n')).toContain(line);
}
