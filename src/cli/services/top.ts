/** `majordomo top`: services and their load, refreshed. */
import type { Command } from 'commander';

import { tell } from '../common/formats.js';
import { checkService, examples, integerOption } from '../common/options.js';
import { shownName } from '../common/output.js';
import { narrowText } from '../common/table.js';
import { isForScreen, watchOnScreen } from '../common/watch.js';
import { Broker } from '../connection/broker.js';
import { addOperatorOptions, type AskOptions } from '../connection/options.js';
import type { AdminClient } from '../connection/admin-client.js';
import { byHttp } from '../connection/state.js';
import {
  addNameOption,
  asOverMmi,
  inOrder,
  type NameOptions,
  ORDER_TEXT,
} from './service-loads.js';
import { type NamedService, render, SERVICES, type Snapshot } from './top-view.js';

interface TopOptions extends AskOptions, NameOptions {
  readonly intervalMs: number;
}

const EXAMPLES = [
  ['majordomo top', 'the broker of this machine; press q to quit'],
  [
    'majordomo top --interval-ms 200 --admin http://mq.example.org:5580',
    'another broker, refreshed every 200 ms',
  ],
  ['majordomo top upper', 'one service and its workers'],
  ['majordomo top -o json | jq .services', 'once, for scripts'],
] as const;

const AFTER = `${examples(EXAMPLES)}
The order is that of the page and of majordomo services: ${ORDER_TEXT}.
With SERVICE it also lists the workers, the busiest first, with their addresses if you give a token. OUT/S and FAIL/S are of plain
and stored requests (attempts) together. Rates are those of the last 4 to 8 seconds. If standard output is not a terminal, prints once and exits.
${narrowText(SERVICES)}`;

/** Workers of the named service. */
const WORKERS_MAX = 1000;

export function define(command: Command): void {
  const named = command.argument('[service]', 'show only this service and its workers');
  addNameOption(addOperatorOptions(named, 'list'))
    .addOption(
      integerOption('--interval-ms <ms>', 'how often to refresh', 100, 3_600_000).default(1000),
    )
    .addHelpText('after', AFTER)
    .action(async (service: string | undefined, options: TopOptions) => {
      if (service !== undefined) checkService(service);
      const client = await new Broker(options).admin();
      const see = (): Promise<Snapshot> => takeSnapshot(client, service ?? null, options);
      const { output, intervalMs } = options;
      if (isForScreen(output)) await watchOnScreen(output, see, render, intervalMs);
      else {
        await tell(output, await see(), {
          text: (sight, columns) => render(sight, { columns, rows: Infinity }),
          names: ({ services, named }) =>
            named?.workers.map(({ name }) => name ?? '-') ??
            services.map((each) => each['service']),
          json: jsonOf,
        });
      }
    });
}

/** The node's state now. */
async function takeSnapshot(
  client: AdminClient,
  service: string | null,
  wanted: NameOptions,
): Promise<Snapshot> {
  const broker = byHttp(client);
  const status = await broker.status();
  const health = await broker.health();
  const services = inOrder(await broker.services(), wanted);
  const named = service === null ? null : await workersOf(client, service);
  return { status, health, services, named };
}

/** Reads one page of the workers of a service: more than fits on a terminal. */
async function workersOf(client: AdminClient, name: string): Promise<NamedService> {
  const service = shownName(name);
  const query = { service, limit: String(WORKERS_MAX) };
  const { items, next } = await client.page('/api/v1/workers', query);
  return { service, workers: items, isCut: next !== null };
}

function jsonOf({ status, health, named, ...all }: Snapshot): Readonly<Record<string, unknown>> {
  const services = asOverMmi(all.services);
  if (named === null) return { status, health, services };
  const { service, workers } = named;
  return {
    status,
    health,
    services: services.filter((each) => each['service'] === service),
    workers,
  };
}
