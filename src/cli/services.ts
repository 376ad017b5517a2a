/** `majordomo services`: the services of a broker and their load. */
import type { Command } from 'commander';

import { EXIT } from '../core/exit.js';
import { addLookOptions, look, type LookOptions, WHERE_TEXT } from './broker-state.js';
import type { Facts } from './ask.js';
import { type Done, examples } from './options.js';
import { printable, table } from './output.js';
import { countText, msText, partOf, rateText } from './service-cells.js';
import { addWatchOption, show, WATCH_TEXT, type WatchOptions } from './watch.js';

const EXAMPLES = [
  ['majordomo services', 'all services, by name'],
  ['majordomo services --watch', 'refreshed every second'],
  ['majordomo services --endpoint tcp://mq.example.org:5555', 'another broker, over MMI'],
  [
    'majordomo services --admin http://mq.example.org:5580',
    'another broker, over HTTP, with a token',
  ],
  ["majordomo services -o json | jq '.[] | select(.queued > 100)'", 'the JSON of mmi.services'],
] as const;

const AFTER = `${examples(EXAMPLES)}
IDLE and BUSY count workers, QUEUED counts requests that wait for a worker. PENDING to OLDEST describe stored
requests, P99 describes plain ones. Bytes of a name that are not printable ASCII are percent-escaped. A service
is listed while it has workers, queued or stored requests, and for ten minutes after.
${WATCH_TEXT}${WHERE_TEXT}`;

/** The cell of each column. */
const CELLS: readonly (readonly [head: string, cell: (service: Facts) => string])[] = [
  ['IDLE', (service) => printable(service['workersWaiting'])],
  ['BUSY', (service) => printable(service['workersBusy'])],
  ['QUEUED', (service) => printable(service['queued'])],
  ['REPLIES/S', (service) => rateText(partOf(service, 'plain')['repliesPerSecond'])],
  ['FAILED/S', (service) => rateText(partOf(service, 'plain')['failuresPerSecond'])],
  ['P99', (service) => msText(partOf(service, 'plain')['p99Ms'])],
  ['PENDING', (service) => countText(partOf(service, 'durable')['pending'])],
  ['RETRYING', (service) => countText(partOf(service, 'durable')['retrying'])],
  ['DEAD', (service) => countText(partOf(service, 'durable')['dead'])],
  ['OLDEST', (service) => msText(partOf(service, 'durable')['oldestMs'])],
];
const COLUMNS = [{ head: 'SERVICE' }, ...CELLS.map(([head]) => ({ head, right: true }))];

export function defineServices(command: Command, done: Done): void {
  addWatchOption(addLookOptions(command))
    .addHelpText('after', AFTER)
    .action(async (options: LookOptions & WatchOptions) => {
      await look(options, (broker) => show(options, () => broker.services(), listText));
      done(EXIT.done);
    });
}

function listText(services: readonly Facts[]): string {
  const rows = services.map((service) => [
    printable(service['service']),
    ...CELLS.map(([, cell]) => cell(service)),
  ]);
  return table(COLUMNS, rows.sort(byName));
}

function byName([left = '']: readonly string[], [right = '']: readonly string[]): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
