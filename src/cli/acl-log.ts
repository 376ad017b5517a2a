/** `majordomo acl log`: the latest refusals and their reasons. */
import { setTimeout as delay } from 'node:timers/promises';

import type { Command } from 'commander';

import { terminalSafeJson } from '../core/escape.js';
import { EXIT } from '../core/exit.js';
import type { AdminClient } from './admin-client.js';
import {
  addAdminOptions,
  addAdminTimeout,
  adminClient,
  adminFacts,
  type AdminOptions,
} from './admin.js';
import type { Facts } from './ask.js';
import {
  addOutputOption,
  type Done,
  examples,
  integerOption,
  type OutputFormat,
} from './options.js';
import { print, printable, printJson, table } from './output.js';
import { askAgain } from './watch.js';

interface LogOptions extends AdminOptions {
  readonly output: OutputFormat;
  readonly limit: number;
  readonly watch?: boolean;
}

const PATH = '/api/v1/acl/log';
const RETAINED_MAX = 1000;
const EVERY_MS = 1000;

const EXAMPLES = [
  ['majordomo acl log', 'recent refusals of this node, newest last'],
  ['majordomo acl log --watch', 'also new ones, until Ctrl-C'],
  ['majordomo acl log -o json | jq \'.items[] | select(.what == "connection")\'', 'for scripts'],
] as const;

const AFTER = `${examples(EXAMPLES)}
The node keeps the last 1000 refusals in memory; repeated ones are one line with a count. The command
uses HTTP and needs a token (--token-file, MAJORDOMO_TOKEN, or the one in the data directory).
`;

const COLUMNS = [
  { head: 'LAST' },
  { head: 'TIMES', right: true },
  { head: 'WHAT' },
  { head: 'KEY' },
  { head: 'ADDRESS' },
  { head: 'SERVICE' },
  { head: 'WHY' },
] as const;

export function defineAclLog(command: Command, done: Done): void {
  addAdminTimeout(addOutputOption(addAdminOptions(command)))
    .addOption(integerOption('--limit <n>', 'how many to show', 1, RETAINED_MAX).default(100))
    .option('--watch', 'keep running and print new refusals')
    .addHelpText('after', AFTER)
    .action(async (options: LogOptions) => {
      const client = await adminClient(options);
      const items = await asked(client, options.limit);
      if (options.watch === true) {
        await watch(client, options, items);
      } else if (options.output === 'json') {
        await printJson({ items });
      } else {
        await print(items.length === 0 ? 'no refusals\n' : table(COLUMNS, items.map(row)));
      }
      done(EXIT.done);
    });
}

/** Newest last, as in a log. */
async function asked(client: AdminClient, limit: number): Promise<readonly Facts[]> {
  const { items } = adminFacts(PATH, await client.get(PATH, { limit: String(limit) }));
  const list: readonly unknown[] = Array.isArray(items) ? items : [];
  return list.map((item): Facts => ({ ...(typeof item === 'object' ? item : {}) })).reverse();
}

/** Prints each refusal when it happens and when it happens again, until the command is ended. */
async function watch(
  client: AdminClient,
  { output }: LogOptions,
  first: readonly Facts[],
): Promise<never> {
  const shown = new Map<unknown, unknown>();
  for (let items = first; ; items = await askAgain(() => asked(client, RETAINED_MAX))) {
    const fresh = items.filter(({ number, count }) => shown.get(number) !== count);
    shown.clear();
    for (const { number, count } of items) shown.set(number, count);
    for (const item of fresh) {
      await print(`${output === 'json' ? terminalSafeJson(item) : row(item).join('  ')}\n`);
    }
    await delay(EVERY_MS);
  }
}

function row(item: Facts): readonly string[] {
  const shown = (name: string): string => printable(item[name] ?? '-');
  return ['lastAt', 'count', 'what', 'key', 'address', 'service', 'reason'].map(shown);
}
