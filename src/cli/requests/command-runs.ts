/** Runs the command of `majordomo worker`: one process per request. */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { Socket } from 'node:net';

import { codeOf, messageOf } from '../../core/errors.js';
import { WORKER_OPTIONS } from '../../sdk/option-tables.js';
import { ServiceError } from '../../sdk/service-error.js';
import { endProcesses } from './command-file.js';

/** How long a command that was told by SIGTERM may go on. */
export const STOP_MS = WORKER_OPTIONS.cancelGraceMs.default;

interface CommandRunOptions {
  readonly service: string;
  readonly program: string;
  readonly args: readonly string[];
  /** Longest run, in milliseconds; null: no limit. */
  readonly timeoutMs: number | null;
  readonly outputBytesMax: number;
  /** Called when a command has ended, and what it has started still holds its standard output open. */
  readonly outputHeld: () => void;
}

/**
 * The broker's tokens and addresses are for this process: a command that is tricked cannot reveal
 * them.
 */
const OWN_ENVIRONMENT: NodeJS.ProcessEnv = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('MAJORDOMO_')),
);

export class CommandRuns {
  readonly #options: CommandRunOptions;
  readonly #running = new Set<ChildProcess>();

  constructor(options: CommandRunOptions) {
    this.#options = options;
  }

  /**
   * Runs the command on one body.
   * @param signal ends it: its client waits no longer, or the worker ends
   * @returns its standard output; rejects with a `ServiceError` if it fails in any way
   */
  run(frames: readonly Buffer[], signal: AbortSignal): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const { program, args, service, timeoutMs, outputBytesMax, outputHeld } = this.#options;
      const stderr = new StderrTail();
      const notStarted = (error: unknown): void => {
        const text = `${program} could not be started: ${messageOf(error)}`;
        reject(endedFailure('not-started', text, stderr));
      };
      let child: ChildProcessWithoutNullStreams;
      try {
        child = start(program, args, service);
      } catch (error) {
        // Such as ENOMEM, which is not emitted.
        notStarted(error);
        return;
      }
      if (child.pid === undefined) {
        // If this process has no descriptors left, it has no streams either.
        child.once('error', notStarted);
        return;
      }
      this.#running.add(child);
      const chunks: Buffer[] = [];
      let bytes = 0;
      // Made when all is read: what it wrote to its standard error before it was killed counts.
      let why: (() => ServiceError) | null = null;
      const end = (code: StopCode, text: string, kill: NodeJS.Signals = 'SIGKILL'): void => {
        why ??= () => endedFailure(code, text, stderr);
        killGroup(child, kill);
      };
      const timer =
        timeoutMs === null
          ? undefined
          : setTimeout(() => {
              end('timeout', `${program} ran longer than ${timeoutMs} ms`);
            }, timeoutMs);
      let grace: NodeJS.Timeout | undefined;
      const stopped = (): void => {
        const text = `${program} was stopped`;
        // When the worker ends, the command has had its time.
        if (codeOf(signal.reason) === 'ERR_MDP_CLOSED') {
          end('stopped', text);
          return;
        }
        end('stopped', text, 'SIGTERM');
        grace = setTimeout(() => end('stopped', text), STOP_MS);
      };
      signal.addEventListener('abort', stopped, { once: true });
      const settle = (): void => {
        clearTimeout(timer);
        clearTimeout(grace);
        // The process has ended after SIGTERM; what it started may have ignored that.
        if (grace !== undefined) killGroup(child, 'SIGKILL');
        signal.removeEventListener('abort', stopped);
        this.#running.delete(child);
        // What it has started may go on. Its lines are still passed on, but this worker does not wait for them when it ends.
        child.stdout.removeAllListeners('data').resume();
        for (const output of [child.stdout, child.stderr]) {
          if (output instanceof Socket) output.unref();
        }
        if (why === null) resolve(Buffer.concat(chunks, bytes));
        else reject(why());
      };
      child.stdout.on('data', (chunk: Buffer) => {
        if (why !== null) return;
        bytes += chunk.length;
        if (bytes > outputBytesMax) {
          chunks.length = 0;
          const most = `at most ${outputBytesMax} are allowed (--output-bytes)`;
          end('too-large', `${program} wrote ${bytes} bytes or more, ${most}`);
        } else {
          chunks.push(chunk);
        }
      });
      child.stderr.on('data', (chunk: Buffer) => stderr.add(chunk));
      child.stderr.pipe(ownStderr(), { end: false });
      whenDone(child, outputHeld, (status, signal) => {
        if (status !== 0) why ??= () => commandFailure(status, signal, stderr);
        settle();
      });
      // A command need not read its whole input.
      child.stdin.on('error', () => undefined);
      for (const frame of frames) child.stdin.write(frame);
      child.stdin.end();
      if (signal.aborted) stopped();
    });
  }

  /** Ends all running commands and what they started. */
  killAll(): void {
    for (const child of this.#running) killGroup(child, 'SIGKILL');
  }
}

function start(
  program: string,
  args: readonly string[],
  service: string,
): ChildProcessWithoutNullStreams {
  return spawn(program, args, {
    // In a process group of its own: Ctrl-C reaches the worker only, which drains; killing
    // reaches the whole group.
    detached: true,
    windowsHide: true,
    env: { ...OWN_ENVIRONMENT, MAJORDOMO_SERVICE: service },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

let passedOn: WriteStream | null = null;

/**
 * Where the standard error of commands goes. Another thread writes it: a reader that stalls holds
 * up the commands, not this worker's heartbeats.
 */
function ownStderr(): WriteStream {
  if (passedOn !== null) return passedOn;
  const stream = createWriteStream('', { fd: process.stderr.fd, autoClose: false });
  stream.setMaxListeners(0);
  // The reader is gone: the next command will notice.
  stream.on('error', () => {
    passedOn = null;
  });
  passedOn = stream;
  return stream;
}

/** What a command has started may hold its output open: nobody waits longer for more of it. */
const PATIENCE_MS = 200;

type Done = (status: number | null, signal: NodeJS.Signals | null) => void;

/**
 * Calls `done` once, when the command has ended and its output is whole: closed, or nothing more of it comes.
 * @param held called before that if what it has started still holds its standard output open
 */
function whenDone(child: ChildProcessWithoutNullStreams, held: () => void, done: Done): void {
  let exit: Parameters<Done> | null = null;
  let timer: NodeJS.Timeout | undefined;
  let isOutputWhole = false;
  const settle = (): void => {
    if (exit === null) return;
    const ended = exit;
    exit = null;
    clearTimeout(timer);
    if (!isOutputWhole) held();
    done(...ended);
  };
  let pieces = 0;
  const patience = (): void => {
    clearTimeout(timer);
    if (exit === null) return;
    timer = setTimeout(() => {
      // This process may have been busy for as long: what has come meanwhile is read first.
      const seen = pieces;
      setImmediate(() => {
        if (pieces === seen) settle();
      });
    }, PATIENCE_MS);
  };
  child.stdout.on('data', () => {
    pieces++;
    patience();
  });
  child.stdout.once('end', () => {
    isOutputWhole = true;
  });
  child.once('exit', (status, signal) => {
    exit = [status, signal];
    patience();
  });
  child.once('close', settle);
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid !== undefined) endProcesses(pid, signal);
}

// ---------------------------------------------------------------- failures of a command, as clients get them

/** sysexits.h: its input or arguments are wrong, so another attempt would fail, too. */
const EX_USAGE = 64;
const EX_DATAERR = 65;
/** sysexits.h: it may succeed elsewhere or later. */
const EX_TEMPFAIL = 75;
/** How much of a command's standard error is kept. */
const TAIL_BYTES = 4096;

/** The end of a command's standard error. */
class StderrTail {
  #tail: Buffer = Buffer.alloc(0);

  add(chunk: Buffer): void {
    this.#tail =
      chunk.length >= TAIL_BYTES
        ? Buffer.from(chunk.subarray(-TAIL_BYTES))
        : Buffer.concat([this.#tail, chunk]).subarray(-TAIL_BYTES);
  }

  get bytes(): Buffer {
    let start = 0;
    // Drops a character that the cut has split: at most three bytes continue one.
    while (start < 3 && ((this.#tail[start] ?? 0) & 0xc0) === 0x80) start++;
    return Buffer.from(this.#tail.subarray(start));
  }

  /** The last line that is not blank; empty if there is none. */
  get lastLine(): string {
    const lines = this.bytes.toString('utf8').split(/[\r\n]+/);
    return lines.map((line) => line.trim()).findLast((line) => line !== '') ?? '';
  }
}

/** The command ended by itself. @param status its exit status; `null`: a signal ended it */
function commandFailure(
  status: number | null,
  signal: NodeJS.Signals | null,
  stderr: StderrTail,
): ServiceError {
  const code = status === null ? `signal-${signal ?? 'unknown'}` : `exit-${status}`;
  const retry = status === EX_TEMPFAIL ? 'elsewhere' : status !== EX_USAGE && status !== EX_DATAERR;
  return withDetail(new ServiceError(code, stderr.lastLine, { retry }), stderr);
}

/** Why the worker stopped a command. `too-large` is also the code of the SDK, for the same reason. */
type StopCode = 'timeout' | 'too-large' | 'stopped';

/** Whether another attempt is made: after `too-large` it would write as much again. */
const RETRY = {
  timeout: true,
  'too-large': false,
  stopped: 'elsewhere',
  'not-started': 'elsewhere',
} as const;

/** The worker stopped the command, or could not start it. */
function endedFailure(
  code: StopCode | 'not-started',
  text: string,
  stderr: StderrTail,
): ServiceError {
  return withDetail(new ServiceError(code, text, { retry: RETRY[code] }), stderr);
}

function withDetail(error: ServiceError, { bytes }: StderrTail): ServiceError {
  return bytes.length === 0 ? error : Object.assign(error, { detail: [bytes] });
}
