/**
 * Programs of the documents, as they stand there, against a broker; only addresses differ. Call
 * `startPage` in `beforeEach` and `removePages` in `afterEach`.
 */
import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import ts from 'typescript';

import { MAIN } from '../../support/child.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../support/daemon.js';

export const run = promisify(execFile);

const ENDPOINT = 'tcp://127.0.0.1:5555';
const SDK = join(process.cwd(), 'build/src/sdk');

const running = new Set<PageProgram>();

/** A program of a page, as a process. */
export class PageProgram {
  readonly process: ChildProcessByStdio<null, Readable, null>;
  readonly ended: Promise<unknown>;
  said = '';
  readonly #watchers = new Set<() => void>();

  constructor(
    command: string,
    args: readonly string[],
    directory: string,
    environment: Readonly<Record<string, string>>,
  ) {
    this.process = spawn(command, [...args], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...environment },
      detached: true,
    });
    this.ended = once(this.process, 'close');
    this.process.stdout.on('data', (chunk: Buffer) => {
      this.said += chunk.toString();
      for (const look of this.#watchers) look();
    });
    running.add(this);
  }

  /** Waits until it has said a text on its standard output. */
  says(text: string): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.said.includes(text)) resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  /** SIGTERM. @returns its exit status */
  async stop(): Promise<number | null> {
    this.process.kill('SIGTERM');
    await this.ended;
    return this.process.exitCode;
  }

  async kill(): Promise<void> {
    running.delete(this);
    if (this.process.exitCode === null && this.process.signalCode === null) {
      process.kill(-(this.process.pid ?? 0), 'SIGKILL');
    }
    await this.ended;
  }
}

/** A broker, and a folder for the programs of a page. */
export class Page {
  readonly daemon: Daemon;
  readonly directory: string;

  constructor(daemon: Daemon, directory: string) {
    this.daemon = daemon;
    this.directory = directory;
  }

  /**
   * Writes a program to a file, for this broker and this build of the SDK. TypeScript becomes JavaScript.
   * @returns its path
   */
  saved(name: string, text: string): string {
    const here = text
      .replaceAll(ENDPOINT, this.daemon.endpoint)
      .replaceAll(/'majordomo-sdk(?:\/(otel))?'/g, (_, part?: string) => {
        return `'${SDK}/${part ?? 'index'}.js'`;
      });
    const path = join(this.directory, name.replace(/\.ts$/, '.js'));
    writeFileSync(path, name.endsWith('.ts') ? transpiled(here) : here);
    return path;
  }

  start(
    command: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): PageProgram {
    const endpoint = { MAJORDOMO_URL: this.daemon.endpoint };
    return new PageProgram(command, args, this.directory, { ...endpoint, ...environment });
  }

  /** Starts `majordomo …`. */
  majordomo(...args: readonly string[]): PageProgram {
    return this.start(process.execPath, [MAIN, ...args]);
  }

  /** Starts a line of shell in which `majordomo` is this build. */
  startShell(line: string, environment: Readonly<Record<string, string>> = {}): PageProgram {
    return this.start('/bin/sh', ['-c', here(line)], environment);
  }

  /** What such a line prints. */
  async shell(line: string): Promise<string> {
    const { stdout } = await run('/bin/sh', ['-c', here(line)], {
      cwd: this.directory,
      env: { ...process.env, MAJORDOMO_URL: this.daemon.endpoint },
    });
    return stdout;
  }
}

/** @param sets `--set` options of the broker */
export async function startPage(sets: readonly string[] = []): Promise<Page> {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'package.json'), '{"type": "module"}');
  symlinkSync(join(process.cwd(), 'node_modules'), join(directory, 'node_modules'));
  return new Page(await startDaemon({ sets }), directory);
}

export async function removePages(): Promise<void> {
  for (const program of running) await program.kill();
  await removeDaemons();
}

function here(line: string): string {
  return line.replaceAll(
    /(^|exec |\$\()(?:npx majordomo-broker|majordomo)(?= )/gm,
    `$1${process.execPath} ${MAIN}`,
  );
}

function transpiled(text: string): string {
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 };
  return ts.transpileModule(text, { compilerOptions }).outputText;
}
