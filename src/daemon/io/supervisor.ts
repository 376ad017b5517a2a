/**
 * Tells systemd how the daemon is (sd_notify(3)). Where nobody listens (`NOTIFY_SOCKET` is not set)
 * nothing happens at all.
 *
 * Node cannot send to the socket itself: its datagrams are UDP. `systemd-notify` can, and is there
 * wherever systemd is, so no native module is needed. One small shell runs it for each line that it
 * reads: so messages stay in their order, and the broker's own process, which may be large, is
 * never forked for a heartbeat.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';

import { codeOf } from '../../core/errors.js';
import type { Log } from '../../observe/log.js';

/** What a heartbeat asks: that the broker's loop takes a turn, and how the broker is. */
export interface Pulse {
  /** Calls `then` at the end of a turn that begins after this call. */
  afterTurn(then: () => void): void;
  /** One line for `systemctl status`. */
  summary(): string;
}

export interface Supervisor {
  /** Clients are served. From here on the watchdog is fed, each time after a turn of the loop. */
  ready(pulse: Pulse): void;
  /** The configuration is being reread; `reloaded` must follow. */
  reloading(): void;
  reloaded(): void;
  /** The end has begun; the watchdog no longer counts. */
  stopping(): void;
}

type Environment = Readonly<Record<string, string | undefined>>;
type Helper = ChildProcessByStdio<Writable, null, null>;

/** Assignments of one message are parted by tabs; 127 is the shell's word for "no such command". */
const SCRIPT = `
set -f
IFS='\t'
while read -r message; do
  systemd-notify $message || [ $? -ne 127 ] || exit 127
done`;

/** Longest text of STATUS. */
const STATUS_CHARACTERS = 200;

/** @param environment of the process: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID` */
export function superviseBy(environment: Environment, log: Log): Supervisor {
  const socket = environment['NOTIFY_SOCKET'];
  if (socket === undefined || socket === '') return NOBODY;
  return new SystemdSupervisor(watchdogMs(environment), new Messages(environment, log));
}

const NOBODY: Supervisor = {
  ready: () => undefined,
  reloading: () => undefined,
  reloaded: () => undefined,
  stopping: () => undefined,
};

class SystemdSupervisor implements Supervisor {
  readonly #watchdogMs: number | null;
  readonly #messages: Messages;
  #timer: NodeJS.Timeout | null = null;

  constructor(watchdogMs: number | null, messages: Messages) {
    this.#watchdogMs = watchdogMs;
    this.#messages = messages;
  }

  ready(pulse: Pulse): void {
    this.#messages.send('READY=1', status(pulse.summary()));
    if (this.#watchdogMs === null) return;
    // Twice within the time, as sd_watchdog_enabled(3) advises.
    this.#timer = setInterval(() => {
      pulse.afterTurn(() => {
        this.#messages.send('WATCHDOG=1', status(pulse.summary()));
      });
    }, this.#watchdogMs / 2).unref();
  }

  reloading(): void {
    // The time is what Type=notify-reload asks for; Type=notify takes it, too.
    const monotonicUs = process.hrtime.bigint() / 1000n;
    this.#messages.send('RELOADING=1', `MONOTONIC_USEC=${monotonicUs}`);
  }

  reloaded(): void {
    this.#messages.send('READY=1');
  }

  stopping(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#messages.send('STOPPING=1', status('draining'));
  }
}

/** Messages on their way, in order. A helper that ended is replaced at the next one. */
class Messages {
  readonly #environment: Environment;
  readonly #log: Log;
  #helper: Helper | null = null;

  constructor(environment: Environment, log: Log) {
    this.#environment = environment;
    this.#log = log;
  }

  /** Each message is a list of assignments. */
  send(...assignments: readonly string[]): void {
    this.#helper ??= this.#start();
    const { stdin } = this.#helper;
    // A helper that is stuck must not make this process grow; nothing of these is worth waiting for.
    if (stdin.writableNeedDrain) return;
    stdin.write(`${assignments.join('\t')}\n`);
  }

  #start(): Helper {
    const helper = spawn('/bin/sh', ['-c', SCRIPT], {
      env: this.#environment,
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    // It must not keep this process alive; it ends with it, when its input does.
    helper.unref();
    const gone = (reason: string): void => {
      if (this.#helper !== helper) return;
      this.#helper = null;
      this.#log.warn({ event: 'supervisor.lost', reason }, `systemd was not told: ${reason}`);
    };
    helper.on('error', (error) => {
      gone(`/bin/sh: ${codeOf(error) ?? 'not started'}`);
    });
    helper.on('exit', (code, signal) => {
      gone(code === 127 ? 'systemd-notify is not installed' : `sh: ${signal ?? code}`);
    });
    helper.stdin.on('error', () => undefined);
    return helper;
  }
}

function status(text: string): string {
  return `STATUS=${text.replace(/[\s\p{Cc}]+/gu, ' ').slice(0, STATUS_CHARACTERS)}`;
}

/** The time within which systemd wants to hear of this process, or null. */
function watchdogMs(environment: Environment): number | null {
  const { WATCHDOG_USEC: micros, WATCHDOG_PID: pid } = environment;
  if (pid !== undefined && pid !== String(process.pid)) return null;
  const ms = Number(micros) / 1000;
  return ms >= 1 ? ms : null;
}
