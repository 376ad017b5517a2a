/** `majordomo acl`: rights, and `acl log`: the latest refusals and their reasons. */
import { setTimeout as delay } from 'node:timers/promises';

import type { Command } from 'commander';

import { type Facts, listIn } from '../common/facts.js';
import { formatted, type OutputOptions, tell } from '../common/formats.js';
import { addSubcommand, type Done, examples, integerOption } from '../common/options.js';
import { print } from '../common/output.js';
import { type Column, field, narrowText, table } from '../common/table.js';
import { askAgain } from '../common/watch.js';
import { Broker } from '../connection/broker.js';
import { addOperatorOptions, type AskOptions } from '../connection/options.js';
import type { AdminClient } from '../connection/admin-client.js';
import { defineAclCheck } from './acl-check.js';

interface LogOptions extends AskOptions {
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

const COLUMNS: readonly Column<Facts>[] = [
  field('LAST', 'lastAt', { drop: 3 }),
  field('TIMES', 'count', { right: true, drop: 1 }),
  field('WHAT', 'what', { drop: 2 }),
  field('KEY', 'key'),
  field('ADDRESS', 'address', { drop: 4 }),
  field('SERVICE', 'service', { drop: 5 }),
  field('WHY', 'reason', { cut: 24 }),
];

const AFTER = `${examples(EXAMPLES)}
The node keeps the last 1000 refusals in memory; repeated ones are one line with a count. The command
uses HTTP and needs a token (--token-file, MAJORDOMO_TOKEN, or the one in the data directory). -o name prints the
names of the keys.
${narrowText(COLUMNS)}`;

export function define(command: Command, done: Done): void {
  const log = 'list recent refusals and their reasons';
  defineLog(addSubcommand(command, 'log', log));
  const check = 'show what a key may do with a service, and which rule decides';
  defineAclCheck(addSubcommand(command, 'check', check), done);
}

function defineLog(command: Command): void {
  addOperatorOptions(command, 'list')
    .addOption(integerOption('--limit <n>', 'how many to show', 1, RETAINED_MAX).default(100))
    .option('--watch', 'keep running and print new refusals')
    .addHelpText('after', AFTER)
    .action(async (options: LogOptions) => {
      const client = await new Broker(options).admin();
      const items = await asked(client, options.limit);
      if (options.watch === true) await watch(client, options, items);
      await tell(options.output, items, {
        text: (_items, width) =>
          items.length === 0 ? 'no refusals\n' : table(COLUMNS, items, width),
        names: () => items.flatMap(({ key }) => key ?? []),
        json: () => ({ items }),
      });
    });
}

/** Newest last, as in a log. */
async function asked(client: AdminClient, limit: number): Promise<readonly Facts[]> {
  return [...listIn((await client.get(PATH, { limit: String(limit) }))['items'])].reverse();
}

/** Prints each refusal when it happens and when it happens again, until the command is ended. */
async function watch(
  client: AdminClient,
  { output }: OutputOptions,
  first: readonly Facts[],
): Promise<never> {
  const shown = new Map<unknown, unknown>();
  for (let items = first; ; items = await askAgain(() => asked(client, RETAINED_MAX))) {
    const fresh = items.filter(({ number, count }) => shown.get(number) !== count);
    shown.clear();
    for (const { number, count } of items) shown.set(number, count);
    for (const item of fresh) {
      const text = (): string => `${COLUMNS.map(({ cell }) => cell(item)).join('  ')}\n`;
      await print(await formatted(output, item, { text, names: ({ key }) => [key ?? '-'] }));
    }
    await delay(EVERY_MS);
  }
}
