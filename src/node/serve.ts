/** The `majordomo serve` process: signals, exit statuses, and the message about a failure. */
import { fstatSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { isatty } from 'node:tty';
import type { Worker } from 'node:worker_threads';

import type { Loaded } from '../config/io/load.js';
import { limitsPerBroker } from '../config/limits-per-broker.js';
import { tell } from '../admin/log/process-events.js';
import { codeOf, messageOf } from '../core/errors.js';
import { escapeControls } from '../core/escape.js';
import { EXIT, EXIT_SIGNALLED, exitStatusOf, type ExitStatus } from '../core/exit.js';
import { SHORTCUTS, type ShortcutName, shortcuts } from '../core/shortcut.js';
import { createLog, type Log } from '../admin/log/log.js';
import type { Extension } from './extension.js';
import { type Node, startNode } from './node.js';
import { type Supervisor, superviseBy } from './io/supervisor.js';

/** How long the threads of a start may take to end. */
const THREADS_END_MS = 200;
/** How long the terminal may still be closing after a signal: a shell passes the signal on first. */
const CLOSING_MS = 1000;

type Signal = keyof typeof EXIT_SIGNALLED;

/** The command line of `majordomo serve`. */
export interface ServeOrder {
  readonly loaded: Loaded;
  /** Reads the configuration again (SIGHUP). */
  readonly reload: () => Loaded;
  /** `--new-store` */
  readonly isNewStore: boolean;
  readonly extensions: readonly Extension[];
}

/**
 * Runs the node until SIGTERM or SIGINT, or, on a terminal, until that is closed.
 * @param ready called once clients are served
 * @returns the exit status
 */
export async function serve(
  { loaded, reload: loadAgain, isNewStore, extensions }: ServeOrder,
  ready: (node: Node) => void,
): Promise<ExitStatus> {
  let { level } = loaded.config.log;
  const log = await createLog(level, loaded.config.log.format, process.stdout.isTTY);
  const reload = (): Loaded => {
    const again = loadAgain();
    ({ level } = again.config.log);
    return again;
  };
  const failed = (error: unknown): ExitStatus => reportFailure(error, log, level === 'silent');
  dieOnBugs(log);
  warnOf(loaded, log);
  tellOfRuntime(log);
  const stop = { isDue: false };
  const stopped = stopRequested(log, stop);
  const supervisor = superviseBy(process.env, log);
  let node: Node | null = null;
  let isStarting = true;
  const threads: Worker[] = [];
  const noteThread = (thread: Worker): unknown => threads.push(thread);
  process.on('worker', noteThread);
  // A start may wait for long, for a database for example.
  void stopped.then(async (signal) => {
    if (isStarting) await endStart(signal, threads, supervisor, log);
  });
  const rereads = { due: false };
  const terminals = [0, 1].filter((descriptor) => isatty(descriptor));
  const endWithTerminal = (): boolean => {
    const isClosed = !terminals.every((descriptor) => isatty(descriptor));
    if (isClosed && !stop.isDue) process.kill(process.pid, 'SIGTERM');
    return isClosed;
  };
  process.on('SIGHUP', () => {
    // The handler stays, since without it SIGHUP ends the process; but rereading would delay the
    // end.
    if (stop.isDue || endWithTerminal()) return;
    if (terminals.length > 0) setTimeout(endWithTerminal, CLOSING_MS).unref();
    if (node === null) rereads.due = true;
    else reread(node, reload, supervisor, log);
  });
  try {
    node = await startNode({
      loaded,
      extensions,
      isNewStore,
      log,
      fatal: (error) => {
        // Nothing more may be acknowledged, so the process ends at once.
        process.exit(failed(error));
      },
    });
  } catch (error) {
    if (!stop.isDue) return failed(error);
  }
  // `endStart` ends the process.
  if (node === null || stop.isDue) return await new Promise(() => undefined);
  isStarting = false;
  process.off('worker', noteThread);
  ready(node);
  supervisor.ready(node);
  if (rereads.due) reread(node, reload, supervisor, log);
  await stopped;
  supervisor.stopping();
  await node.stop();
  await log.close();
  // Otherwise Node removes its signal handlers first, and a SIGHUP ends the process instead.
  process.once('exit', () => process.exit());
  return EXIT.done;
}

/** Logs why the process ends, and says it to who does not see the log. Returns the exit status. */
function reportFailure(error: unknown, log: Log, isSilent: boolean): ExitStatus {
  const code = codeOf(error) ?? 'ERR_INTERNAL';
  tell(log, 'broker.failed', { code }, messageOf(error));
  log.flush();
  if (isSilent || !isOneOutput()) {
    process.stderr.write(`majordomo: ${escapeControls(messageOf(error))}\n`);
  }
  return exitStatusOf(error);
}

/** Whether standard output and standard error are the same terminal, file, pipe or journal. */
function isOneOutput(): boolean {
  const [output, errors] = [1, 2].map((descriptor) => fstatSync(descriptor));
  return output?.dev === errors?.dev && output?.ino === errors?.ino;
}

/** Ends the process at once while it starts: nobody has been promised anything. */
async function endStart(
  signal: Signal,
  threads: readonly Worker[],
  supervisor: Supervisor,
  log: Log,
): Promise<void> {
  supervisor.stopping();
  const ended = Promise.all(threads.map((thread) => thread.terminate())).then(() => true);
  const haveEnded = await Promise.race([ended, pause(THREADS_END_MS, false)]);
  tell(log, 'broker.stopped', {}, 'stopped while it started');
  await log.close();
  // `process.exit` waits for a thread, which may be in a long statement of SQLite; the signal does not.
  if (!haveEnded) {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  }
  // Also if this is process 1 of a container, which its own signal does not end.
  process.exit(EXIT.done);
}

/** Resolves at the first SIGTERM or SIGINT; the second ends the process at once. */
function stopRequested(log: Log, stop: { isDue: boolean }): Promise<Signal> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (stop.isDue) {
          log.flush();
          process.exit(EXIT_SIGNALLED[signal]);
        }
        stop.isDue = true;
        resolve(signal);
      });
    }
  });
}

function reread(node: Node, reload: () => Loaded, supervisor: Supervisor, log: Log): void {
  supervisor.reloading();
  try {
    const loaded = reload();
    warnOf(loaded, log);
    node.reconfigure(loaded.config);
  } catch (error) {
    tell(
      log,
      'config.refused',
      { code: codeOf(error) },
      `the configuration was not applied: ${messageOf(error).replaceAll('\n', '; ')}`,
    );
  }
  supervisor.reloaded();
}

function warnOf(loaded: Loaded, log: Log): void {
  for (const { place, path, message } of loaded.warnings) {
    tell(log, 'config.ignored', { place, path }, `${path}: ${message}`);
  }
  for (const { path, message } of limitsPerBroker(loaded.config)) {
    tell(log, 'limits.per_broker', { path }, `${path}: ${message}`);
  }
}

/** Logs where this version of Node.js is not as expected, once it shows. */
function tellOfRuntime(log: Log): void {
  for (const part of Object.keys(shortcuts) as ShortcutName[]) {
    shortcuts[part].watch((reason) => {
      const runtime = process.version;
      const text = `not with Node.js ${runtime}: ${SHORTCUTS[part]} (${reason}); the broker takes more CPU time`;
      tell(log, 'runtime.unfamiliar', { part, runtime, reason }, text);
    });
  }
}

/** An unexpected error is a bug: log all that is known about it, and exit. */
function dieOnBugs(log: Log): void {
  const die = (error: unknown): void => {
    const stack =
      typeof error === 'object' && error !== null && 'stack' in error ? error.stack : undefined;
    tell(log, 'broker.crashed', { stack }, `internal error: ${messageOf(error)}`);
    log.flush();
    process.exit(EXIT.internal);
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
}
