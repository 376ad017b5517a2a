/** `majordomo top`: services and their load, refreshed. */
import type { Command } from 'commander';

import { escapeName } from '../core/escape.js';
import { EXIT } from '../core/exit.js';
import type { AdminClient } from './admin-client.js';
import {
  addAdminOptions,
  addAdminTimeout,
  adminClient,
  type AdminOptions,
  pageOf,
} from './admin.js';
import { byHttp } from './broker-state.js';
import {
  addOutputOption,
  checkService,
  type Done,
  examples,
  integerOption,
  type OutputFormat,
} from './options.js';
import { print, printJson } from './output.js';
import { render, type Snapshot } from './top/render.js';
import type { NamedService } from './top/workers.js';
import { watchOnScreen } from './watch.js';

interface TopOptions extends AdminOptions {
  readonly output: OutputFormat;
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
Lists the busiest services first; with SERVICE also its workers, the busiest first, with their addresses if you
give a token. Rates are those of the last 4 to 8 seconds. If standard output is not a terminal, prints once and exits.
`;

/** Workers of the named service. */
const WORKERS_MAX = 1000;

export function defineTop(command: Command, done: Done): void {
  const named = command.argument('[service]', 'show only this service and its workers');
  addAdminTimeout(addOutputOption(addAdminOptions(named)))
    .addOption(
      integerOption('--interval-ms <ms>', 'how often to refresh', 100, 3_600_000).default(1000),
    )
    .addHelpText('after', AFTER)
    .action(async (service: string | undefined, options: TopOptions) => {
      if (service !== undefined) checkService(service);
      const client = await adminClient(options);
      const see = (): Promise<Snapshot> => takeSnapshot(client, service ?? null);
      if (options.output === 'json') await printJson(jsonOf(await see()));
      else if (process.stdout.isTTY) await watchOnScreen(see, render, options.intervalMs);
      else await print(render(await see(), { columns: 100, rows: Infinity }));
      done(EXIT.done);
    });
}

/** The node's state now. */
async function takeSnapshot(client: AdminClient, service: string | null): Promise<Snapshot> {
  const broker = byHttp(client);
  const status = await broker.status();
  const health = await broker.health();
  const services = await broker.services();
  const named = service === null ? null : await workersOf(client, service);
  return { status, health, services, named };
}

/** One page of them: more than fits on a terminal. */
async function workersOf(client: AdminClient, name: string): Promise<NamedService> {
  const service = escapeName(Buffer.from(name));
  const query = { service, limit: String(WORKERS_MAX) };
  const { items, next } = await pageOf(client, '/api/v1/workers', query, null);
  return { service, workers: items, isCut: next !== null };
}

function jsonOf({ status, health, services, named }: Snapshot): Readonly<Record<string, unknown>> {
  if (named === null) return { status, health, services };
  const { service, workers } = named;
  return {
    status,
    health,
    services: services.filter((each) => each['service'] === service),
    workers,
  };
}
