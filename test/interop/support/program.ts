/**
 * Programs that use no code of this project, as processes, in the languages of the Guide. Each of ours
 * prints one JSON object a line. Call `killPrograms` in `afterEach`.
 */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

import { PYTHON } from '../../support/tools.js';
import { whenPatienceEnds } from '../../support/patience.js';

/** Where our programs are. */
export const SOURCES: string = join(process.cwd(), 'test', 'interop', 'programs');

/** One line that a program printed. */
export type Line = Readonly<Record<string, unknown>> & { readonly event: string };

const running = new Set<Program>();

export class Program {
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly lines: Line[] = [];
  /** Resolves when it has ended and its output is read. */
  readonly exited: Promise<unknown>;
  readonly #name: string;
  readonly #watchers = new Set<() => void>();
  #stderr = '';
  #rest = '';

  /** @param read what a line of its output says */
  constructor(
    name: string,
    command: string,
    args: readonly string[],
    read: (text: string) => Line = (text) => JSON.parse(text) as Line,
  ) {
    this.#name = name;
    this.process = spawn(command, [...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.process.stdin.on('error', () => undefined);
    this.process.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (this.#rest + chunk).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) this.lines.push(read(line));
      this.#notify();
    });
    this.process.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      this.#stderr += chunk;
    });
    running.add(this);
    this.exited = once(this.process, 'close').then(() => {
      running.delete(this);
      this.#notify();
    });
  }

  /** The lines of one event. */
  said(event: string): readonly Line[] {
    return this.lines.filter((line) => line.event === event);
  }

  /** Waits until it has said `event` `count` times; gives the last of them. */
  async waitFor(event: string, count = 1): Promise<Line> {
    await this.until(() => this.said(event).length >= count, `${count} × ${event}`);
    return this.said(event)[count - 1] ?? { event };
  }

  until(condition: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (failure: string | null): void => {
        stopWaiting();
        this.#watchers.delete(look);
        if (failure === null) resolve();
        else reject(new Error(`${this.#name} ${failure}\n${this.#told()}`));
      };
      const look = (): void => {
        if (condition()) settle(null);
        else if (!running.has(this)) settle(`ended before ${what}`);
      };
      const stopWaiting = whenPatienceEnds((waitedMs) => {
        settle(`gave no ${what} within ${waitedMs} ms`);
      });
      this.#watchers.add(look);
      look();
    });
  }

  /** One line on its standard input. */
  tell(line: string): void {
    this.process.stdin.write(`${line}\n`);
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  /** Ends its standard input, waits for its end, and gives all that it said; a failure rejects. */
  async finished(): Promise<readonly Line[]> {
    this.process.stdin.end();
    await this.until(() => !running.has(this), 'end');
    if (this.process.exitCode !== 0) {
      throw new Error(`${this.#name} ended with ${this.process.exitCode}\n${this.#told()}`);
    }
    return this.lines;
  }

  #notify(): void {
    for (const look of [...this.#watchers]) look();
  }

  #told(): string {
    const last = this.lines.slice(-20).map((line) => JSON.stringify(line));
    return `it said: ${last.join('\n')}\nstderr: ${this.#stderr}`;
  }
}

/** The command line of a Python program of `test/interop/programs`, by its name without `.py`. */
export function pythonLine(
  name: string,
  ...args: readonly (string | number)[]
): [string, ...string[]] {
  return [PYTHON, join(SOURCES, `${name}.py`), ...args.map(String)];
}

/** Starts a Python program of `test/interop/programs`. */
export function python(name: string, ...args: readonly (string | number)[]): Program {
  const [command, ...rest] = pythonLine(name, ...args);
  return new Program(name, command, rest);
}

/** Compiles a C program of `test/interop/programs` into `directory`; gives the path of the result. */
export function compile(name: string, directory: string, ...libraries: readonly string[]): string {
  const output = join(directory, name);
  const flags = ['-std=c11', '-D_GNU_SOURCE', '-O1', '-Wall', '-Wextra', '-Werror'];
  const source = join(SOURCES, `${name}.c`);
  const { status, stderr } = spawnSync(
    'gcc',
    [...flags, '-o', output, source, ...libraries, '-lzmq'],
    {
      encoding: 'utf8',
    },
  );
  if (status !== 0) throw new Error(`gcc ${name}.c: ${stderr}`);
  return output;
}

/** Starts a compiled program. */
export function execute(path: string, ...args: readonly (string | number)[]): Program {
  return new Program(path, path, args.map(String));
}

/** Ends every program that still runs, also a stopped one. */
export async function killPrograms(): Promise<void> {
  await Promise.all([...running].map((program) => program.kill()));
}
