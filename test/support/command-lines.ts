/**
 * A test program: runs the command lines that its parent sends, one after the other, each with the
 * command's own `main`, and tells how each ended. Starting a process for each would take most of the time.
 *
 * The commands are those of the bundle (scripts/bundle.mjs), which is what is shipped.
 *
 * A command line has ended when nothing of it is left that would keep a process of its own alive.
 */
import { readdirSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';

import type * as Main from '../../src/cli/main.js';
import type * as Program from '../../src/extensions/cli-commands.js';
import { MAIN } from './child.js';

/** What the parent sends. */
export interface Order {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly directory: string;
  readonly input: string | Uint8Array;
}

/** What it gets. */
export interface Ended {
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

const { main, PROGRAM } = shipped();

/** What `main` and the commands listen for. */
const EVENTS = ['uncaughtException', 'unhandledRejection', 'SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const LOOK_INTERVAL_MS = 2;

/** What keeps this process alive while it runs no command. */
let idleCount = Infinity;
let stdout: Buffer[] = [];
let stderr: Buffer[] = [];

/** Loads the commands from the bundle, as its main.js does. */
function shipped(): typeof Main & typeof Program {
  const directory = dirname(MAIN);
  const isCommands = (file: string): boolean => /^commands-[^.]+\.js$/.test(file);
  const file = readdirSync(join(directory, 'code')).find(isCommands) ?? '';
  const { start } = createRequire(MAIN)('./load.js') as {
    start: (file: string) => { main_exports: typeof Main; cli_commands_exports: typeof Program };
  };
  const { main_exports: main, cli_commands_exports: program } = start(file);
  return { ...main, ...program };
}

async function obey({ args, environment, directory, input }: Order): Promise<Ended> {
  idleCount = Math.min(idleCount, process.getActiveResourcesInfo().length);
  for (const name of Object.keys(process.env)) Reflect.deleteProperty(process.env, name);
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined) process.env[name] = value;
  }
  process.chdir(directory);
  stdout = [];
  stderr = [];
  replace('stdin', Readable.from(input.length === 0 ? [] : [Buffer.from(input)]));
  replace('stdout', into(stdout));
  replace('stderr', into(stderr));
  const status = await main(args, PROGRAM);
  while (process.getActiveResourcesInfo().length > idleCount) await pause(LOOK_INTERVAL_MS);
  for (const event of EVENTS) process.removeAllListeners(event);
  const ended = { status, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) };
  stdout = [];
  stderr = [];
  return ended;
}

function replace(name: 'stdin' | 'stdout' | 'stderr', value: Readable | Writable): void {
  Object.defineProperty(process, name, { value, configurable: true });
}

function into(chunks: Buffer[]): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
}

process.on('message', (order: Order) => {
  void obey(order).then((ended) => process.send?.(ended));
});
// A command that ends the process itself.
process.on('exit', () => {
  for (const chunk of stdout) writeSync(1, chunk);
  for (const chunk of stderr) writeSync(2, chunk);
});
