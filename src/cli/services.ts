/** `majordomo services`: the services of a broker and their load; pauses and resumes one. */
import type { Command } from 'commander';

import { EXIT } from '../core/exit.js';
import {
  addAdminOptions,
  addAdminTimeout,
  adminClient,
  adminFacts,
  type AdminOptions,
} from './admin.js';
import { addLookOptions, look, type LookOptions, WHERE_TEXT } from './broker-state.js';
import type { Facts } from './ask.js';
import {
  addOutputOption,
  addSubcommand,
  type Done,
  examples,
  type OutputFormat,
} from './options.js';
import { print, printable, printJson, table } from './output.js';
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
  ['majordomo services pause render', 'its requests wait; what its workers have goes on'],
  ["majordomo services -o json | jq '.[] | select(.queued > 100)'", 'the JSON of mmi.services'],
] as const;

const AFTER = `${examples(EXAMPLES)}
IDLE and BUSY count workers, QUEUED counts requests that wait for a worker. PENDING to OLDEST describe stored
requests, P99 describes plain ones. The requests of a paused service wait. Bytes of a name that are not printable ASCII are percent-escaped. A service
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
  for (const [name, about, past] of ACTIONS) {
    const action = addSubcommand(command, name, about).argument('<service>', 'named as in lists');
    addAdminTimeout(addOutputOption(addAdminOptions(action)))
      .addHelpText('after', AFTER_PAUSE)
      .action(
        async (service: string, options: AdminOptions & { readonly output: OutputFormat }) => {
          const path = `/api/v1/services/${encodeURIComponent(service)}/${name}`;
          const answer = adminFacts(path, await (await adminClient(options)).post(path));
          if (options.output === 'json') await printJson(answer);
          else await print(`${printable(service)} is ${past}\n`);
          done(EXIT.done);
        },
      );
  }
}

/** Name, purpose, and what the service then is. */
const ACTIONS = [
  ['pause', 'have the requests for a service wait', 'paused'],
  ['resume', 'let the requests for a paused service go to its workers again', 'not paused'],
] as const;

const AFTER_PAUSE = `
Plain requests wait until their time is over, durable ones until the service is resumed. The pause is stored: it
outlives a restart, and the other node of a pair and the brokers that share the database have it, too. It needs
http.token, and titanic.enabled at the broker.
`;

function listText(services: readonly Facts[]): string {
  const rows = services.map((service) => [
    service['paused'] === true
      ? `${printable(service['service'])} (paused)`
      : printable(service['service']),
    ...CELLS.map(([, cell]) => cell(service)),
  ]);
  return table(COLUMNS, rows.sort(byName));
}

function byName([left = '']: readonly string[], [right = '']: readonly string[]): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
