/**
 * Processes that run one command line after the other (command-lines.ts). They outlive the test file that
 * started them, and end with this process.
 */
import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

import type { Finished } from './child.js';
import type { Ended, Order } from './command-lines.js';
import { type Patience, whenPatienceEnds } from './patience.js';

const PROGRAM = fileURLToPath(new URL('./command-lines.js', import.meta.url));
/** These wait for signals, write to the file of standard output, or measure their process. */
const ALONE = new Set(['bench', 'events', 'pair-demo', 'serve', 'worker']);

/** Test files load this module anew, so it is kept there. */
const KEY = Symbol.for('majordomo.command-processes');
const idle = (Reflect.get(globalThis, KEY) as ChildProcess[] | undefined) ?? [];
Reflect.set(globalThis, KEY, idle);

/** Those that run a command of this test file. */
const busy = new Set<ChildProcess>();

/** Ends every command that has not ended by itself. */
export function killBusy(): void {
  for (const child of busy) child.kill('SIGKILL');
}

/** Whether this command line needs a process of its own. */
export function runsAlone([name = '', action]: readonly string[]): boolean {
  return ALONE.has(name) || (name === 'map' && action === 'watch');
}

/** Runs it in a process that is idle; kills that when patience ends. */
export function runInIdle(order: Order, patience?: Patience): Promise<Finished> {
  const child = takeIdle() ?? start();
  busy.add(child);
  const handles = [child, child.channel, child.stdout as Socket, child.stderr as Socket];
  for (const handle of handles) handle?.ref();
  const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  const takeStdout = (chunk: Buffer): unknown => output.stdout.push(chunk);
  const takeStderr = (chunk: Buffer): unknown => output.stderr.push(chunk);
  child.stdout?.on('data', takeStdout);
  child.stderr?.on('data', takeStderr);
  const stopWaiting = whenPatienceEnds(() => child.kill('SIGKILL'), patience);
  return new Promise((resolve) => {
    const ended = ({ status, stdout, stderr }: Ended): void => {
      stopWaiting();
      busy.delete(child);
      child.off('close', died);
      child.stdout?.off('data', takeStdout);
      child.stderr?.off('data', takeStderr);
      for (const handle of handles) handle?.unref();
      idle.push(child);
      resolve({ status, signal: null, stdout: text(stdout), stderr: text(stderr) });
    };
    // The command has ended the process, or patience has.
    const died = (status: number | null, signal: NodeJS.Signals | null): void => {
      stopWaiting();
      busy.delete(child);
      const [stdout, stderr] = [Buffer.concat(output.stdout), Buffer.concat(output.stderr)];
      resolve({ status, signal, stdout: text(stdout), stderr: text(stderr) });
    };
    child.once('message', ended);
    child.once('close', died);
    // (If it cannot be sent, the process is about to end: see `died`.)
    child.send(order, () => undefined);
  });
}

/** One that has not ended since: its end may not have been told yet. */
function takeIdle(): ChildProcess | undefined {
  let child = idle.pop();
  while (child?.connected === false) child = idle.pop();
  return child;
}

function start(): ChildProcess {
  const stdio = ['ignore', 'pipe', 'pipe', 'ipc'] as const;
  const child = fork(PROGRAM, { execArgv: [], stdio: [...stdio], serialization: 'advanced' });
  child.once('exit', () => {
    const at = idle.indexOf(child);
    if (at !== -1) idle.splice(at, 1);
  });
  return child;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}
