/** `majordomo services`: the services of a broker and their load; shows, describes, pauses and limits one, exports contracts. */
import type { Command } from 'commander';

import { failuresOf, oldestOf, repliesOf } from '../../core/service-needs.js';
import { type Facts, factsIn } from '../common/facts.js';
import { tell } from '../common/formats.js';
import { addSubcommand, examples } from '../common/options.js';
import { printable } from '../common/output.js';
import { type Column, narrowText, table } from '../common/table.js';
import { addWatchOption, show, WATCH_TEXT, type WatchOptions } from '../common/watch.js';
import { Broker } from '../connection/broker.js';
import {
  addLookOptions,
  addOperatorOptions,
  type AskOptions,
  WHERE_TEXT,
} from '../connection/options.js';
import { defineDescribe } from './describe.js';
import { defineExport } from './export.js';
import { defineLimits } from './limits.js';
import { countText, figure, freeOf, msText, nameOf, rateText } from './cells.js';
import {
  addNameOption,
  asOverMmi,
  inOrder,
  loadOf,
  type NameOptions,
  ORDER_TEXT,
} from './service-loads.js';
import { defineShow } from './show.js';

const EXAMPLES = [
  ['majordomo services', 'all services, those that fail first'],
  ['majordomo services --name pay', 'those with this in their name'],
  ['majordomo services show price', 'one of them: why it fails, its queue and workers'],
  ['majordomo services --watch', 'refreshed every second'],
  ['majordomo services --endpoint tcp://mq.example.org:5555', 'another broker, over MMI'],
  [
    'majordomo services --admin http://mq.example.org:5580',
    'another broker, over HTTP, with a token',
  ],
  ['majordomo services describe render', 'what it takes and answers'],
  ['majordomo services export --asyncapi', 'what all services take and answer, as AsyncAPI'],
  ['majordomo services pause render', 'its requests wait; what its workers have goes on'],
  ['majordomo services limit render --running 5', 'at most five of its requests run at once'],
  ['majordomo services -o name', 'the names alone, one per line'],
  ["majordomo services -o json | jq '.[] | select(.queued > 100)'", 'the JSON of mmi.services'],
] as const;

const COLUMNS: readonly Column<Facts>[] = [
  { head: 'SERVICE', cell: nameOf, cut: 12 },
  figure('FREE', 7, (service) => printable(freeOf(service))),
  figure('BUSY', 8, ({ workersBusy }) => printable(workersBusy)),
  figure('QUEUED', null, ({ queued }) => printable(queued)),
  figure('REPLIES/S', 6, (service) => rateText(repliesOf(loadOf(service)))),
  figure('FAILED/S', 9, (service) => rateText(failuresOf(loadOf(service)))),
  figure('P99', 2, ({ plain }) => msText(factsIn(plain)?.['p99Ms'])),
  figure('MAX', 3, ({ plain }) => msText(factsIn(plain)?.['maxMs'])),
  figure('PENDING', 5, ({ durable }) => countText(factsIn(durable)?.['pending'])),
  figure('RETRYING', 1, ({ durable }) => countText(factsIn(durable)?.['retrying'])),
  figure('DEAD', 10, ({ durable }) => countText(factsIn(durable)?.['dead'])),
  figure('OLDEST', 4, (service) => msText(oldestOf(loadOf(service)))),
];

const AFTER = `${examples(EXAMPLES)}
The order is that of the page: ${ORDER_TEXT}.
FREE counts the requests that its workers take at once, BUSY the workers that have any, QUEUED the requests that wait for a
worker. PENDING to DEAD describe stored requests. REPLIES/S and FAILED/S are of plain and stored ones (attempts) together; those
that clients gave up have failed. OLDEST is the one that has waited longest.
P99 and MAX (the longest) are of plain ones; these rates and times are those of the last 4 to 8 seconds, P99 only of at least 100
replies. The requests of a paused service wait. Bytes of a name that are not printable ASCII are percent-escaped. A service
is listed while it has workers, queued or durable requests, and for ten minutes after. MMI does not tell how long plain requests
have waited, nor failures of more than 8 seconds ago.
${narrowText(COLUMNS)}${WATCH_TEXT}${WHERE_TEXT}`;

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

export function define(command: Command): void {
  addNameOption(addWatchOption(addLookOptions(command, 'list')))
    .addHelpText('after', AFTER)
    .action(async (options: AskOptions & WatchOptions & NameOptions) => {
      await new Broker(options).state((broker) =>
        show(options, async () => inOrder(await broker.services(), options), {
          text: (services, width) => table(COLUMNS, services, width),
          names: (services) => services.map(({ service }) => service),
          json: asOverMmi,
        }),
      );
    });
  defineShow(command);
  defineDescribe(command);
  defineExport(command);
  defineLimits(command);
  for (const [name, about, past] of ACTIONS) {
    const action = addSubcommand(command, name, about).argument('<service>', 'named as in lists');
    addOperatorOptions(action)
      .addHelpText('after', AFTER_PAUSE)
      .action(async (service: string, options: AskOptions) => {
        const path = `/api/v1/services/${encodeURIComponent(service)}/${name}`;
        const answer = await (await new Broker(options).admin()).post(path);
        await tell(options.output, answer, `${printable(service)} is ${past}\n`);
      });
  }
}
