/** `majordomo top`: services and their load, again and again. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';

import { codeOf, messageOf } from '../core/errors.js';
import { EXIT } from '../core/exit.js';
import type { AdminClient } from './admin-client.js';
import { addAdminOptions, addAdminTimeout, adminClient, type AdminOptions } from './admin.js';
import { byHttp } from './looking.js';
import {
  addOutputOption,
  type Done,
  examples,
  integerOption,
  type OutputFormat,
} from './options.js';
import { print, printable, printJson } from './output.js';
import { Screen } from './top/screen.js';
import { clipped, picture, type Sight } from './top/picture.js';
import { counted, type Counted } from './top/counted.js';

interface TopOptions extends AdminOptions {
  readonly output: OutputFormat;
  readonly intervalMs: number;
}

const EXAMPLES = [
  ['majordomo top', 'the broker of this machine; q ends it'],
  ['majordomo top --interval-ms 200 --admin http://mq.example.org:5580', 'another one, livelier'],
  ['majordomo top -o json | jq .services', 'once, for programs'],
] as const;

const AFTER = `${examples(EXAMPLES)}
Busiest services first. Where standard output is no terminal it prints one picture and ends.
`;

/** Errors that the next look may not meet. */
const PASSING: ReadonlySet<string> = new Set(['ERR_HTTP_NO_ANSWER', 'ERR_HTTP_UNREACHABLE']);
const RETRY_MS = 500;

export function defineTop(command: Command, done: Done): void {
  addAdminTimeout(addOutputOption(addAdminOptions(command)))
    .addOption(
      integerOption('--interval-ms <ms>', 'between pictures', 100, 3_600_000).default(1000),
    )
    .addHelpText('after', AFTER)
    .action(async (options: TopOptions) => {
      const client = await adminClient(options);
      if (options.output === 'json') await printJson(jsonOf(await sight(client, null)));
      else if (process.stdout.isTTY) await watch(client, options.intervalMs);
      else await print(picture(await sight(client, null), { columns: 100, rows: Infinity }));
      done(EXIT.done);
    });
}

/** What is there to see now; rates since `before`. */
async function sight(client: AdminClient, before: Sight | null): Promise<Sight> {
  const broker = byHttp(client);
  const at = performance.now();
  const status = await broker.status();
  const health = await broker.health();
  const services = await broker.services();
  const counts = await countedBy(client);
  return {
    at,
    status,
    health,
    services,
    counts,
    before: before && { at: before.at, counts: before.counts },
  };
}

/** By its metrics; `null` where it has none. */
async function countedBy(client: AdminClient): Promise<Counted | null> {
  const { status, value } = await client.any('/metrics');
  return status === 200 && typeof value === 'string' ? counted(value) : null;
}

function jsonOf({ status, health, services }: Sight): Readonly<Record<string, unknown>> {
  return { status, health, services };
}

/** Until somebody says q, Ctrl-C, or a signal comes. */
async function watch(client: AdminClient, intervalMs: number): Promise<void> {
  // Before the screen is taken: what is wrong from the start ends it.
  let last = await sight(client, null);
  const screen = new Screen();
  try {
    while (!screen.left.aborted) {
      const seen = last;
      screen.show((size) => picture(seen, size));
      await delay(intervalMs, undefined, { signal: screen.left }).catch(() => undefined);
      last = await next(client, last, screen);
    }
  } finally {
    screen.close();
  }
}

/** A daemon that restarts, or is slow, is seen again when it is there. */
async function next(client: AdminClient, last: Sight, screen: Screen): Promise<Sight> {
  let before: Sight | null = last;
  for (;;) {
    if (screen.left.aborted) return last;
    try {
      return await sight(client, before);
    } catch (error) {
      if (!PASSING.has(codeOf(error) ?? '')) throw error;
      before = null;
      screen.show(({ columns }) => clipped(printable(messageOf(error)), columns));
      await delay(RETRY_MS, undefined, { signal: screen.left }).catch(() => undefined);
    }
  }
}
