/** What answers programs over HTTP: our broker with a worker of the SDK, and a bare server. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { startDaemon } from '../../test/support/daemon.js';
import { httpOf } from '../../test/support/http.js';

export interface Serving {
  readonly port: number;
  /** Where peers of ZMTP connect. */
  readonly endpoint?: string;
  /** Of all its processes, that of the server first. */
  readonly pids: readonly number[];
  /** Resolves when they have ended: their CPU time counts as that of this process from then on. */
  stop(): Promise<void>;
}

/** `bench/load/http.c` has the first, too. One alone may not have 1,000 connections. */
export const TOKENS = ['bench-bench-bench-bench-bench', 'other-other-other-other-other'];
const CONCURRENCY = 100;

/** @param nodeOptions of the server's process */
export async function startBare(nodeOptions: readonly string[] = []): Promise<Serving> {
  const child = start(nodeOptions, 'http/echo.js');
  const port = Number(await firstLine(child));
  return { port, pids: [pidOf(child)], stop: () => ended(child) };
}

/**
 * @param nodeOptions of the broker's process
 * @param sets further `--set` options of it
 */
export async function startOurs(
  nodeOptions: readonly string[] = [],
  sets: readonly string[] = [],
): Promise<Serving> {
  const tokens = TOKENS.map(
    (token, index) => `{name: bench${index}, role: request, token: ${token}, client: ['*']}`,
  );
  const daemon = await startDaemon({
    sets: ['http.listen=127.0.0.1:0', `http.tokens=[${tokens.join(', ')}]`, ...sets],
    nodeOptions,
  });
  const worker = start([], 'sdk/worker.js', daemon.endpoint, 'zmtp', String(CONCURRENCY));
  await firstLine(worker);
  return {
    port: Number(new URL(httpOf(daemon)).port),
    endpoint: daemon.endpoint,
    pids: [pidOf(daemon.process), pidOf(worker)],
    stop: async () => {
      await Promise.all([worker, daemon.process].map(ended));
    },
  };
}

function start(
  nodeOptions: readonly string[],
  script: string,
  ...args: readonly string[]
): ChildProcess {
  const file = join(import.meta.dirname, '..', script);
  return spawn(process.execPath, [...nodeOptions, file, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function firstLine({ stdout }: ChildProcess): Promise<string> {
  if (stdout === null) throw new Error('its output is not read');
  const lines: readonly unknown[] = await once(stdout, 'data');
  return String(lines[0]).trim();
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error('it does not start');
  return pid;
}
