/** What answers programs over HTTP: our broker with a worker of the SDK, and a bare server. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { startDaemon } from '../../test/support/daemon.js';
import { httpOf } from '../../test/support/http.js';

export interface Serving {
  readonly port: number;
  /** Of all its processes, that of the server first. */
  readonly pids: readonly number[];
  /** Resolves when they have ended: their CPU time counts as that of this process from then on. */
  stop(): Promise<void>;
}

/** `bench/load/http.c` has it, too. */
const TOKEN = 'bench-bench-bench-bench-bench';
const CONCURRENCY = 100;

export async function startBare(): Promise<Serving> {
  const child = start('http/echo.js');
  const port = Number(await firstLine(child));
  return { port, pids: [pidOf(child)], stop: () => ended(child) };
}

export async function startOurs(): Promise<Serving> {
  const daemon = await startDaemon({
    sets: [
      'http.listen=127.0.0.1:0',
      `http.tokens=[{name: bench, role: request, token: ${TOKEN}, client: [echo]}]`,
    ],
  });
  const worker = start('sdk/worker.js', daemon.endpoint, 'zmtp', String(CONCURRENCY));
  await firstLine(worker);
  return {
    port: Number(new URL(httpOf(daemon)).port),
    pids: [pidOf(daemon.process), pidOf(worker)],
    stop: async () => {
      await Promise.all([worker, daemon.process].map(ended));
    },
  };
}

function start(script: string, ...args: readonly string[]): ChildProcess {
  const file = join(import.meta.dirname, '..', script);
  return spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
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
