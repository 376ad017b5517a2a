/**
 * A broker as a real process, for tests of whatever talks to one. Call `removeDaemons` in `afterEach`.
 *
 * ```ts
 * const daemon = await startDaemon({ sets: ['broker.heartbeatIntervalMs=100'] });
 * … daemon.endpoint …
 * await daemon.kill();                     // SIGKILL; `stop()` is SIGTERM and the drain
 * const again = await startDaemon({ endpoint: daemon.endpoint, dataDir: daemon.dataDir });
 * ```
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { Child, type Exit, type Finished, killAll, run } from './child.js';
import { freePorts } from './free-ports.js';
import { SCRATCH } from './scratch.js';

/** One line of the daemon's log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly event?: string };

export interface DaemonOptions {
  /**
   * Where it listens. Default: a loopback port that stays reserved for restarts. `null`: as in the
   * configuration file.
   */
  readonly endpoint?: string | null;
  /** Default: a new one, removed by `removeDaemons`. */
  readonly dataDir?: string;
  /** Further `--set` options, `key=value`; they take precedence. */
  readonly sets?: readonly string[];
  /** Like `serve --new-store`. */
  readonly newStore?: boolean;
  /** A configuration file. */
  readonly file?: string;
  /** Further options of `serve`. */
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** The network namespace that it runs in (`hosts.ts`). */
  readonly netns?: string;
  /** main.js of another version. */
  readonly program?: string;
  /** Options of Node itself. */
  readonly nodeOptions?: readonly string[];
  /** A line of shell to run first in the same process, such as `ulimit -n 100`. */
  readonly before?: string;
}

/**
 * Of a broker that is to start with a store in a database: longer than a busy machine stalls. A test of
 * what happens after that time sets its own.
 */
const PATIENT = 'titanic.storeTimeoutMs=20000';

const directories: string[] = [];

/** A directory for one test; its path is short enough for `ipc://`. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(SCRATCH, 'mdp-'));
  directories.push(directory);
  return directory;
}

/** Kills every process that was started, and removes the temporary directories. */
export async function removeDaemons(): Promise<void> {
  await killAll();
  for (const directory of directories.splice(0)) {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A process of `majordomo serve`. */
export class Daemon extends Child {
  readonly dataDir: string;
  /** Where it listens, with real ports; empty before `broker.ready`. */
  endpoints: readonly string[] = [];

  constructor(options: DaemonOptions = {}) {
    const dataDir = options.dataDir ?? temporaryDirectory();
    super(serveLine(options, dataDir), {
      ...(options.environment === undefined ? {} : { environment: options.environment }),
      ...(options.netns === undefined ? {} : { netns: options.netns }),
      ...(options.program === undefined ? {} : { program: options.program }),
      ...(options.before === undefined ? {} : { before: options.before }),
      ...(options.nodeOptions === undefined ? {} : { nodeOptions: options.nodeOptions }),
    });
    this.dataDir = dataDir;
  }

  /** The first listener's endpoint. */
  get endpoint(): string {
    const first = this.endpoints[0];
    if (first === undefined) throw new Error('the daemon is not ready');
    return first;
  }

  /** All complete lines of its log so far. */
  get log(): readonly LogLine[] {
    const lines = this.stdout.split('\n').slice(0, -1);
    return lines.map((line): LogLine => JSON.parse(line) as LogLine);
  }

  /** The lines of one event. */
  logged(event: string): readonly LogLine[] {
    return this.log.filter((line) => line.event === event);
  }

  /** Waits until `count` lines of that event are logged; returns the last of them. */
  async waitFor(event: string, count = 1): Promise<LogLine> {
    await this.until(() => this.logged(event).length >= count, `${count} × ${event} in the log`);
    return this.logged(event)[count - 1] ?? {};
  }

  /** SIGTERM: drains; returns how it ended. */
  async stop(): Promise<Exit> {
    this.signal('SIGTERM');
    return await this.finished();
  }
}

function serveLine(options: DaemonOptions, dataDir: string): string[] {
  const sets = [
    `node.dataDir=${dataDir}`,
    ...(options.endpoint === null
      ? []
      : [`broker.listen=${options.endpoint ?? 'tcp://127.0.0.1:0'}`]),
    'http.listen=off',
    'log.format=json',
    ...(options.sets ?? []),
  ];
  const file = options.file === undefined ? [] : ['--config', options.file];
  const newStore = options.newStore === true ? ['--new-store'] : [];
  const flags = [...newStore, ...(options.flags ?? [])];
  return ['serve', ...flags, ...file, ...sets.flatMap((set) => ['--set', set])];
}

/** How a broker ends that does not start, and what it says. */
export async function unstarted(
  options: Pick<DaemonOptions, 'dataDir' | 'sets' | 'newStore' | 'file'>,
): Promise<Pick<Finished, 'status' | 'stderr'>> {
  const line = serveLine(options, options.dataDir ?? temporaryDirectory());
  const { status, stderr } = await run(line, { isEnding: true });
  return { status, stderr };
}

/** Starts a broker and waits for `broker.ready`. */
export async function startDaemon(options: DaemonOptions = {}): Promise<Daemon> {
  const endpoint = options.endpoint ?? (await freeEndpoint());
  const { sets = [] } = options;
  const isShared = sets.some((set) => set.startsWith('titanic.store=postgresql:'));
  const daemon = new Daemon({ ...options, endpoint, sets: isShared ? [PATIENT, ...sets] : sets });
  const { endpoints } = await daemon.waitFor('broker.ready');
  if (Array.isArray(endpoints)) daemon.endpoints = endpoints.map(String);
  return daemon;
}

async function freeEndpoint(): Promise<string> {
  const [port = 0] = await freePorts(1);
  return `tcp://127.0.0.1:${port}`;
}
