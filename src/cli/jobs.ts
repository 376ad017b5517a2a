/** Runs of the command of `majordomo worker`: one process a request. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import { MajordomoError, messageOf } from '../core/errors.js';
import { formatSize } from '../config/size.js';

export interface JobOptions {
  readonly service: string;
  readonly program: string;
  readonly args: readonly string[];
  /** Longest run, in milliseconds; null for any. */
  readonly timeoutMs: number | null;
  readonly outputBytesMax: number;
}

/** True if the program is there and may be run: as a path, or in one of the folders of PATH. */
export function isRunnable(program: string): boolean {
  if (program === '' || program.includes('\0')) return false;
  if (program.includes('/')) return isExecutable(program);
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.some((folder) => isExecutable(join(folder === '' ? '.' : folder, program)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Tokens and addresses of the broker are for this process: a command that is tricked has none to tell. */
const OWN_ENVIRONMENT: NodeJS.ProcessEnv = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('MAJORDOMO_')),
);

export class Jobs {
  readonly #options: JobOptions;
  readonly #running = new Set<ChildProcess>();

  constructor(options: JobOptions) {
    this.#options = options;
  }

  /**
   * Runs the command on one body.
   * @param signal ends it: the request was given back
   * @returns its standard output; rejects with ERR_COMMAND if it fails in any way
   */
  run(frames: readonly Buffer[], signal: AbortSignal): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const { program, args, service, timeoutMs, outputBytesMax } = this.#options;
      const child = spawn(program, args, {
        // A group of its own: Ctrl-C is for the worker, which drains, and killing takes all of it.
        detached: true,
        env: { ...OWN_ENVIRONMENT, MAJORDOMO_SERVICE: service },
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      this.#running.add(child);
      const chunks: Buffer[] = [];
      let bytes = 0;
      let why: string | null = null;
      const end = (reason: string): void => {
        why ??= reason;
        killGroup(child);
      };
      const timer =
        timeoutMs === null
          ? undefined
          : setTimeout(() => {
              end(`${program} ran longer than ${timeoutMs} ms`);
            }, timeoutMs);
      const stopped = (): void => {
        end(`${program} was stopped`);
      };
      signal.addEventListener('abort', stopped, { once: true });
      const settle = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', stopped);
        this.#running.delete(child);
        if (why === null) resolve(Buffer.concat(chunks, bytes));
        else reject(new MajordomoError('ERR_COMMAND', why));
      };
      child.stdout.on('data', (chunk: Buffer) => {
        if (why !== null) return;
        bytes += chunk.length;
        if (bytes > outputBytesMax) {
          chunks.length = 0;
          end(`${program} answered more than ${formatSize(outputBytesMax)} (--output-bytes)`);
        } else {
          chunks.push(chunk);
        }
      });
      child.on('error', (error) => {
        why ??= `${program} could not be run: ${messageOf(error)}`;
        if (child.pid === undefined) settle();
      });
      child.on('close', (status, killedBy) => {
        if (status !== 0) {
          why ??=
            killedBy === null
              ? `${program} exited with ${status ?? 'no status'}`
              : `${program} was ended by ${killedBy}`;
        }
        settle();
      });
      // A command need not read its input to its end.
      child.stdin.on('error', () => undefined);
      for (const frame of frames) child.stdin.write(frame);
      child.stdin.end();
      if (signal.aborted) stopped();
    });
  }

  /** Ends all that runs, and whatever that has started. */
  killAll(): void {
    for (const child of this.#running) killGroup(child);
  }
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
