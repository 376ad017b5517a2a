/** `--watch`: a command that shows its list again and again, until the user ends it. */
import { setTimeout as delay } from 'node:timers/promises';

import type { Command } from 'commander';

import { codeOf, detailsOf, messageOf } from '../../core/errors.js';
import { formatted, type OutputFormat, type OutputOptions, tell, type View } from './formats.js';
import { print, printable, say } from './output.js';
import { Screen, type Size } from './screen.js';
import { clipped, folded } from './table.js';

export interface WatchOptions extends OutputOptions {
  readonly watch?: true;
}

/** Errors of a broker that restarts or is slow. */
const PASSING: ReadonlySet<string> = new Set([
  'ERR_HTTP_NO_ANSWER',
  'ERR_HTTP_UNREACHABLE',
  'ERR_MDP_TIMEOUT',
  'ERR_MDP_UNREACHABLE',
]);
const NOT_READY = 503;
const EVERY_MS = 1000;
const RETRY_MS = 500;
const UNBOUNDED: Size = { columns: Infinity, rows: Infinity };

export const WATCH_TEXT = `
With --watch the command refreshes what it shows every second, until you press q or Ctrl-C. If standard output
is not a terminal, and with -o json, name or jsonpath, it prints again when something has changed; JSON is then one
value per line.
`;

export function addWatchOption(command: Command): Command {
  return command.option('--watch', 'keep running and show changes');
}

/** Prints what `ask` returns, once or with `--watch` again and again. */
export async function show<Value>(
  { output, watch }: WatchOptions,
  ask: () => Promise<Value>,
  view: View<Value>,
): Promise<void> {
  if (watch !== true) await tell(output, await ask(), view);
  else if (isForScreen(output)) {
    const draw = (value: Value, { columns }: Size): string => view.text(value, columns);
    await watchOnScreen(output, ask, draw, EVERY_MS);
  } else await watchChanges(ask, (value) => formatted(output, value, view));
}

/** Prints it whenever it differs from the last time, until the command is ended. */
async function watchChanges<Value>(
  ask: () => Promise<Value>,
  text: (value: Value) => Promise<string>,
): Promise<never> {
  let last = '';
  for (let value = await ask(); ; value = await askAgain(ask)) {
    const now = await text(value);
    if (now !== last) await print(now);
    last = now;
    await delay(EVERY_MS);
  }
}

function isPassing(error: unknown): boolean {
  if (PASSING.has(codeOf(error) ?? '')) return true;
  // A node that is starting answers HTTP before its store is open.
  return detailsOf(error)['status'] === NOT_READY;
}

/** Asks; waits for a broker that restarts or is slow, and says so once. */
export async function askAgain<Value>(ask: () => Promise<Value>): Promise<Value> {
  for (let isReported = false; ; isReported = true) {
    try {
      return await ask();
    } catch (error) {
      if (!isPassing(error)) throw error;
      if (!isReported) say(`${messageOf(error)}; retrying`);
      await delay(RETRY_MS);
    }
  }
}

/** Whether this format refreshes a terminal; the others print anew. */
export function isForScreen(output: OutputFormat): boolean {
  return process.stdout.isTTY && (output === 'text' || output === 'wide');
}

/**
 * Shows it on the whole terminal until the user presses q or Ctrl-C, or a signal arrives.
 * @param output `wide`: nothing is cut at its edge
 */
export async function watchOnScreen<Value>(
  output: OutputFormat,
  ask: () => Promise<Value>,
  render: (value: Value, size: Size) => string,
  intervalMs: number,
): Promise<void> {
  // Asked before the screen is taken, so that an error ends the command.
  let last = await ask();
  const screen = new Screen();
  try {
    while (!screen.left.aborted) {
      const seen = last;
      screen.show((size) =>
        output === 'wide' ? folded(render(seen, UNBOUNDED), size.columns) : render(seen, size),
      );
      await pause(screen, intervalMs);
      last = await next(ask, last, screen);
    }
  } finally {
    screen.close();
  }
}

/** Waits for a broker that restarts or is slow. */
async function next<Value>(ask: () => Promise<Value>, last: Value, screen: Screen): Promise<Value> {
  for (;;) {
    if (screen.left.aborted) return last;
    try {
      return await ask();
    } catch (error) {
      if (!isPassing(error)) throw error;
      screen.show(({ columns }) => clipped(printable(messageOf(error)), columns));
      await pause(screen, RETRY_MS);
    }
  }
}

async function pause(screen: Screen, ms: number): Promise<void> {
  await delay(ms, undefined, { signal: screen.left }).catch(() => undefined);
}
