/** The command as a real process: the test that started it observes and ends it. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Readable, Writable } from 'node:stream';

import { killBusy, runInIdle, runsAlone } from './commands.js';
import { type Patience, whenPatienceEnds } from './patience.js';

/** The program. */
export const MAIN: string = fileURLToPath(new URL('../../program/main.js', import.meta.url));

export interface Exit {
  /** Null if a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** How a process ended, and all its output. */
export interface Finished extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

export interface ChildOptions {
  /** In addition to this process's environment without Majordomo's variables. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory?: string;
  /** main.js of another version. */
  readonly program?: string;
  /** Options of Node itself. */
  readonly nodeOptions?: readonly string[];
  /** A line of shell to run first in the same process, such as `ulimit -n 100`. */
  readonly before?: string;
  /** The network namespace that it runs in; default: this process's. */
  readonly netns?: string;
}

const running = new Set<Child>();

/** A process of this package's `main.js`. */
export class Child {
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>;
  /** Resolves when it has ended and its output is read. */
  readonly exited: Promise<Exit>;
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];
  readonly #watchers = new Set<() => void>();

  constructor(args: readonly string[], options: ChildOptions = {}) {
    const { netns } = options;
    // The shell replaces itself: the process and its id are the command's.
    const inside = netns === undefined ? [] : ['ip', 'netns', 'exec', netns];
    const node = [process.execPath, ...(options.nodeOptions ?? [])];
    const line = [...inside, ...node, options.program ?? MAIN, ...args];
    const shell = `${options.before ?? ':'} && exec "$0" "$@"`;
    this.process = spawn('/bin/sh', ['-c', shell, ...line], {
      cwd: options.directory,
      env: { ...cleanEnvironment(), ...options.environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    // It may end without reading its input.
    this.process.stdin.on('error', () => undefined);
    this.process.stdout.on('data', (chunk: Buffer) => {
      this.#stdout.push(chunk);
      this.#notify();
    });
    this.process.stderr.on('data', (chunk: Buffer) => {
      this.#stderr.push(chunk);
      this.#notify();
    });
    running.add(this);
    this.exited = once(this.process, 'close').then((): Exit => {
      running.delete(this);
      this.#notify();
      return { status: this.process.exitCode, signal: this.process.signalCode };
    });
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  get stdoutBytes(): Buffer {
    return Buffer.concat(this.#stdout);
  }

  get stdout(): string {
    return this.stdoutBytes.toString('utf8');
  }

  get stderr(): string {
    return Buffer.concat(this.#stderr).toString('utf8');
  }

  get ended(): boolean {
    return !running.has(this);
  }

  /** Writes to its standard input; closes it unless `more`. */
  input(bytes: string | Uint8Array, more = false): void {
    if (more) this.process.stdin.write(bytes);
    else this.process.stdin.end(bytes);
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** Resolves as soon as `condition` is true of its output; rejects if the process ends before. */
  until(condition: (child: this) => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error: Error | null): void => {
        stopWaiting();
        this.#watchers.delete(look);
        if (error === null) resolve();
        else reject(error);
      };
      const look = (): void => {
        if (condition(this)) settle(null);
        else if (this.ended) settle(this.#failure(`ended before ${what}`));
      };
      const stopWaiting = whenPatienceEnds((waitedMs) => {
        settle(this.#failure(`no ${what} within ${waitedMs} ms`));
      });
      this.#watchers.add(look);
      look();
    });
  }

  /** Waits for its end, and kills it when patience ends. */
  async finished(patience?: Patience): Promise<Finished> {
    const stopWaiting = whenPatienceEnds(() => this.signal('SIGKILL'), patience);
    const exit = await this.exited;
    stopWaiting();
    return { ...exit, stdout: this.stdout, stderr: this.stderr };
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<Exit> {
    this.signal('SIGKILL');
    return await this.exited;
  }

  #notify(): void {
    for (const look of [...this.#watchers]) look();
  }

  #failure(what: string): Error {
    return new Error(`${what}\nstdout: ${this.stdout}\nstderr: ${this.stderr}`);
  }
}

/**
 * Runs a command line to its end; `input` is its whole standard input. Where nothing speaks against it,
 * the process has run others before (commands.ts): starting one would take most of the time.
 */
export async function run(
  args: readonly string[],
  options: ChildOptions & {
    readonly input?: string | Uint8Array;
    readonly patience?: Patience;
    /** It ends by itself, though others of its name do not. */
    readonly isEnding?: boolean;
  } = {},
): Promise<Finished> {
  const { environment = {}, directory = process.cwd(), input = '', patience, ...rest } = options;
  const { isEnding = false, ...own } = rest;
  // Node.js reads these when it starts.
  const isOfNode = Object.keys(environment).some((name) => name.startsWith('NODE_'));
  if (Object.keys(own).length === 0 && !isOfNode && (isEnding || !runsAlone(args))) {
    const env = { ...cleanEnvironment(), ...environment };
    return await runInIdle({ args, environment: env, directory, input }, patience);
  }
  const child = new Child(args, options);
  child.input(input);
  return await child.finished(patience);
}

/** Runs command lines one after the other. */
export async function runEach(
  lines: readonly (readonly string[])[],
  options: Pick<ChildOptions, 'environment'> = {},
): Promise<Finished[]> {
  const all: Finished[] = [];
  for (const line of lines) all.push(await run(line, options));
  return all;
}

/** Ends everything still running, except what a whole file uses: for `afterEach`. */
export async function killAll(...spared: readonly Child[]): Promise<void> {
  killBusy();
  const ended = [...running].filter((child) => !spared.includes(child));
  await Promise.all(ended.map((child) => child.kill()));
}

/** Without what a user of this machine has set for Majordomo, without contexts and earlier runs of a bench. */
function cleanEnvironment(): Record<string, string | undefined> {
  const others = Object.entries(process.env).filter(
    ([name]) => !/^(MAJORDOMO_|NODE_OPTIONS$)/.test(name),
  );
  return {
    ...Object.fromEntries(others),
    XDG_CONFIG_HOME: '/nonexistent',
    XDG_STATE_HOME: '/dev/null',
  };
}
