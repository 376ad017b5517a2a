/** `majordomo clients`: who uses most of a node. */
import { type Command, Option } from 'commander';

import { type Facts, listIn } from '../common/facts.js';
import { examples, integerOption } from '../common/options.js';
import { counted, printable, sizeText } from '../common/output.js';
import { type Column, field, narrowText, table } from '../common/table.js';
import { addWatchOption, show, WATCH_TEXT, type WatchOptions } from '../common/watch.js';
import { Broker } from '../connection/broker.js';
import { addOperatorOptions, type AskOptions } from '../connection/options.js';
import { countText, figure, rateText } from './cells.js';

interface ClientsOptions extends AskOptions, WatchOptions {
  readonly by: string;
  readonly limit: number;
}

const SHOWN = 20;
const SHOWN_MAX = 1000;

const EXAMPLES = [
  ['majordomo clients', 'who sends most requests per second'],
  ['majordomo clients --by stored --limit 5', 'who has most bytes in the store'],
  ['majordomo clients --watch', 'refreshed every second'],
  ["majordomo clients -o json | jq '.items[] | select(.refusedPerSecond > 0)'", 'for scripts'],
] as const;

const COLUMNS: readonly Column<Facts>[] = [
  { head: 'CLIENT', cell: ({ name }) => printable(name ?? '(without a key)'), cut: 16 },
  field('KIND', 'kind', { drop: 3 }),
  figure('REQUESTS/S', null, ({ requestsPerSecond }) => rateText(requestsPerSecond)),
  figure('REFUSED/S', 6, ({ refusedPerSecond }) => rateText(refusedPerSecond)),
  figure('OUTSTANDING', null, ({ outstanding }) => countText(outstanding)),
  figure('STORED', 7, ({ stored }) => countText(stored)),
  figure('STORED BYTES', 8, ({ storedBytes }) => sizeText(storedBytes)),
  figure('MEMORY', 5, ({ heldBytes }) => sizeText(heldBytes)),
  figure('CONNECTIONS', 4, ({ connections }) => countText(connections)),
  figure('WORKERS', 2, ({ workers }) => countText(workers)),
  field('QUOTA', 'quota', { drop: 1 }),
];

const AFTER = `${examples(EXAMPLES)}
A client is a CURVE key, a token of http.tokens, or the source address of peers without a key (of IPv6 its /64). Quotas
count by the same. REQUESTS/S and REFUSED/S are those of the last 4 to 8 seconds; OUTSTANDING requests wait or are at
workers; MEMORY is what the node holds for it of limits.memoryBytes. Durable requests that were stored without a key
belong to nobody: they are the client "(without a key)". Of clients that have left, the node knows at most 1000 that
sent requests in the last seconds. The command uses HTTP and needs a token (--token-file, MAJORDOMO_TOKEN, or the one
in the data directory).
${narrowText(COLUMNS)}${WATCH_TEXT}`;

export function define(command: Command): void {
  addWatchOption(addOperatorOptions(command, 'list'))
    .addOption(
      new Option('--by <figure>', 'what the first ones have most of')
        .choices(['requests', 'outstanding', 'stored', 'held'])
        .default('requests'),
    )
    .addOption(integerOption('--limit <n>', 'how many to show', 1, SHOWN_MAX).default(SHOWN))
    .addHelpText('after', AFTER)
    .action(async (options: ClientsOptions) => {
      const client = await new Broker(options).admin();
      const query = { by: options.by, limit: String(options.limit) };
      await show(options, () => client.get('/api/v1/clients', query), {
        text: clientsText,
        names: ({ items }) => listIn(items).map(({ name }) => name ?? '-'),
      });
    });
}

function clientsText({ items, total }: Facts, width: number): string {
  const shown = listIn(items);
  if (shown.length === 0) return 'no clients\n';
  const more = Number(total) - shown.length;
  return table(COLUMNS, shown, width) + (more > 0 ? `and ${counted(more, 'other')}\n` : '');
}
