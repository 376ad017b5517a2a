/**
 * Reports the node's state to systemd (sd_notify(3)). If `NOTIFY_SOCKET` is not set, it does
 * nothing.
 *
 * Node cannot send to that socket: it has no Unix datagram sockets. `systemd-notify` can, and is
 * part of systemd, so no native module is needed. One small shell runs it for each line that it
 * reads: this keeps the messages in order, and the broker's process, which may be large, is not
 * forked for each heartbeat.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';

import { codeOf } from '../../core/errors.js';
import type { BrokerLoop } from '../../broker/io/loop.js';
import type { Log } from '../../admin/log/log.js';
import { tell } from '../../admin/log/process-events.js';

/** Checks for a heartbeat: that the broker's loop takes a turn, and the broker's status. */
interface Pulse {
  readonly loop: Pick<BrokerLoop, 'afterNextTurn'>;
  /** Returns a line for `systemctl status`. */
  summary(): string;
}

export interface Supervisor {
  /**
   * Clients are served. From now on the watchdog is notified, each time after a turn of the loop.
   */
  ready(pulse: Pulse): void;
  /** The configuration is being reread; `reloaded` must follow. */
  reloading(): void;
  reloaded(): void;
  /** The shutdown has begun; the watchdog no longer applies. */
  stopping(): void;
}

type Environment = Readonly<Record<string, string | undefined>>;
type Helper = ChildProcessByStdio<Writable, null, null>;

/**
 * Tabs separate the assignments of one message; 127 is the shell's status for "no such command".
 */
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
    // Twice per period, as sd_watchdog_enabled(3) advises.
    this.#timer = setInterval(() => {
      pulse.loop.afterNextTurn(() => this.#messages.send('WATCHDOG=1', status(pulse.summary())));
    }, this.#watchdogMs / 2).unref();
  }

  reloading(): void {
    // Type=notify-reload requires the time; Type=notify accepts it.
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

/** Messages in order. A helper that ended is replaced at the next message. */
class Messages {
  readonly #environment: Environment;
  readonly #log: Log;
  #helper: Helper | null = null;

  constructor(environment: Environment, log: Log) {
    this.#environment = environment;
    this.#log = log;
  }

  /** Sends a message, which is a list of assignments. */
  send(...assignments: readonly string[]): void {
    this.#helper ??= this.#start();
    // Without descriptors, Node gives a helper that was not started no streams.
    if (this.#helper.pid === undefined) return;
    const { stdin } = this.#helper;
    // If the helper hangs, messages are dropped, so that this process does not grow.
    if (stdin.writableNeedDrain) return;
    stdin.write(`${assignments.join('\t')}\n`);
  }

  #start(): Helper {
    const helper = spawn('/bin/sh', ['-c', SCRIPT], {
      env: this.#environment,
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    // The helper must not keep this process alive; it ends when its input does.
    helper.unref();
    const gone = (reason: string): void => {
      if (this.#helper !== helper) return;
      this.#helper = null;
      tell(this.#log, 'supervisor.lost', { reason }, `could not notify systemd: ${reason}`);
    };
    helper.on('error', (error) => gone(`/bin/sh: ${codeOf(error) ?? 'not started'}`));
    helper.on('exit', (code, signal) => {
      gone(code === 127 ? 'systemd-notify is not installed' : `sh: ${signal ?? code}`);
    });
    if (helper.pid !== undefined) helper.stdin.on('error', () => undefined);
    return helper;
  }
}

function status(text: string): string {
  return `STATUS=${text.replace(/[\s\p{Cc}]+/gu, ' ').slice(0, STATUS_CHARACTERS)}`;
}

/** The time within which systemd expects a notification, or null. */
function watchdogMs(environment: Environment): number | null {
  const { WATCHDOG_USEC: micros, WATCHDOG_PID: pid } = environment;
  if (pid !== undefined && pid !== String(process.pid)) return null;
  const ms = Number(micros) / 1000;
  return ms >= 1 ? ms : null;
}
