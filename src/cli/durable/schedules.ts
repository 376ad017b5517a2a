/**
 * `majordomo durable schedule`, `unschedule`, `schedules`: as a client, for its own schedules; `schedules …`: as an
 * operator, for those of all owners.
 */
import type { Command } from 'commander';

import { EXIT } from '../../core/exit.js';
import type { Client, Schedule } from '../../sdk/client.js';
import { type Facts, factsIn } from '../common/facts.js';
import { addOutputOption, type OutputFormat, tell, type View } from '../common/formats.js';
import { bodyOf, STDIN } from '../common/frames.js';
import {
  addSubcommand,
  addTimeoutOptions,
  checkService,
  checkUuid,
  type Done,
  examples,
  given,
} from '../common/options.js';
import { duration, printable, say, shownName } from '../common/output.js';
import { type Column, field, lockedField, narrowText, table } from '../common/table.js';
import { Broker } from '../connection/broker.js';
import { addEndpointOption, type AskOptions } from '../connection/options.js';
import { addJobOptions, jobOptionsIn } from '../requests/stored.js';
import { addDurable, type DurableOptions, TITANIC } from './filter.js';

interface MakeOptions extends AskOptions {
  readonly timeZone?: string;
}

const EXAMPLES = [
  [
    "majordomo durable schedule nightly '30 2 * * *' report --time-zone Europe/Berlin",
    'every night at half past two',
  ],
  ["majordomo durable schedule poll '*/5 * * * *' fetch https://example.org", 'every five minutes'],
  ['majordomo durable schedule digest @weekly mail - < digest.txt', 'standard input as a frame'],
] as const;

const AFTER = `${examples(EXAMPLES)}
The broker stores a request for the service whenever the cron line says so: minute, hour, day of the
month, month, day of the week; or six fields with seconds first; or @hourly, @daily, @weekly, @monthly,
@yearly. A name that you already use replaces that schedule. If the broker was away, the last missed
time is made up.
`;

const COLUMNS: readonly Column<Schedule>[] = [
  { head: 'NAME', cell: ({ name }) => printable(name), cut: 12 },
  { head: 'CRON', cell: ({ cron }) => printable(cron), drop: 5 },
  { head: 'TIME ZONE', cell: ({ timeZone }) => printable(timeZone), drop: 2 },
  { head: 'SERVICE', cell: ({ service }) => shownName(service), drop: 4 },
  { head: 'NEXT', cell: ({ next }) => next.toISOString(), drop: 3 },
  { head: 'IN', cell: inText, right: true },
  { head: 'FIRINGS', cell: ({ firings }) => String(firings), right: true, drop: 1 },
];

export function defineSchedules(command: Command, done: Done): void {
  const sub = (name: string, summary: string, more: 'list' | null = null): Command => {
    const made = addSubcommand(command, name, summary);
    const about = 'how long to wait for an answer';
    return addTimeoutOptions(addOutputOption(addEndpointOption(made), more), about);
  };
  addJobOptions(sub('schedule', 'have a request stored whenever a cron line says so'), '')
    .argument('<name>', 'of the schedule')
    .argument('<cron>', 'the cron line, as one argument')
    .argument('<service>', 'the service of the requests')
    .argument('[frame...]', `frames of their body; ${STDIN} is standard input`)
    .option('--time-zone <zone>', 'whose local times the line names (default: UTC)')
    .addHelpText('after', AFTER)
    .action(
      async (
        name: string,
        cron: string,
        service: string,
        args: readonly string[],
        options: MakeOptions,
      ) => {
        checkService(service);
        const body = await bodyOf(args);
        const made = await asClient(options, (client) =>
          client.schedule(name, service, body, {
            cron,
            ...jobOptionsIn(options),
            ...given({ timeZone: options.timeZone }),
          }),
        );
        const text = `${printable(name)} is due next at ${made.next.toISOString()}\n`;
        await tell(options.output, jsonOf(made), text);
      },
    );
  sub('unschedule', 'end a schedule; the requests that it stored stay')
    .argument('<name>', 'of the schedule')
    .action(async (name: string, options: AskOptions) => {
      const removed = await asClient(options, (client) => client.unschedule(name));
      const what = removed ? 'is ended' : 'was no schedule of yours';
      await tell(options.output, { removed }, `${printable(name)} ${what}\n`);
      if (!removed) done(EXIT.failed);
    });
  const about = 'list your schedules; as an operator, those of all owners';
  const schedules = sub('schedules', about, 'list').addHelpText(
    'after',
    `\n${narrowText(COLUMNS)}`,
  );
  schedules.action(async (options: AskOptions) => {
    const all = await asClient(options, (client) => client.schedules());
    await tellSchedules(options.output, all, {
      text: (_all, width) => table(COLUMNS, all, width),
      names: () => all.map(({ name }) => name),
      json: () => ({ items: all.map(jsonOf) }),
    });
  });
  defineScheduleOrders(schedules);
}

function inText({ next }: Schedule): string {
  return duration(Math.max(0, next.getTime() - Date.now()));
}

async function tellSchedules<Item>(
  output: OutputFormat,
  all: readonly Item[],
  view: View<readonly Item[]>,
): Promise<void> {
  if (all.length === 0 && output !== 'json') say('no schedules');
  else await tell(output, all, view);
}

function asClient<T>(options: AskOptions, use: (client: Client) => Promise<T>): Promise<T> {
  return new Broker(options).client(use, { ifNoWorker: 'fail' });
}

function jsonOf(schedule: Schedule): object {
  const { next, since, service } = schedule;
  return {
    ...schedule,
    service: shownName(service),
    next: next.toISOString(),
    since: since.toISOString(),
  };
}

// ---------------------------------------------------------------- of all owners

const SCHEDULES = `${TITANIC}/schedules`;

/** Name, purpose, where it goes, and what the schedule then is. */
const ORDERS = [
  ['pause', 'have one pass over its due times', 'schedules', 'pause', 'is paused'],
  ['resume', 'have a paused one go on from its next due time', 'schedules', 'resume', 'goes on'],
  ['fire', 'store a request for one now', 'schedules', 'fire', 'has stored a request'],
  ['end', 'end one, whoever owns it', 'requests', 'cancel', 'is ended'],
] as const;

const ALL_COLUMNS: readonly Column<Facts>[] = [
  field('UUID', 'uuid'),
  lockedField('NAME', 'name', { cut: 12 }),
  field('OWNER', 'owner', { drop: 2 }),
  field('CRON', 'cron', { drop: 4 }),
  field('TIME ZONE', 'timeZone', { drop: 1 }),
  field('SERVICE', 'service', { drop: 3 }),
  field('NEXT', 'next', { drop: 5 }),
  { head: 'LAST', cell: ({ last }) => lastText(factsIn(last)), drop: 6 },
  { head: 'STATE', cell: ({ paused }) => (paused === true ? 'paused' : ''), drop: 7 },
];

/** The last time it was due, and what came of it. */
function lastText(last: Facts | null): string {
  return last === null ? '-' : `${printable(last['at'])}: ${printable(last['outcome'])}`;
}

/** Below `schedules`, which lists those of a client. */
function defineScheduleOrders(command: Command): void {
  addDurable(command, 'all', 'list the schedules of all owners, by due time', 'list')
    .addHelpText('after', `\n${narrowText(ALL_COLUMNS)}`)
    .action(async (options: DurableOptions) => {
      const items = await (await new Broker(options).admin()).all(SCHEDULES);
      await tellSchedules(options.output, items, {
        text: (_items, width) => table(ALL_COLUMNS, items, width),
        names: () => items.map(({ uuid }) => uuid),
        json: () => ({ items }),
      });
    });
  for (const [name, about, place, order, past] of ORDERS) {
    addDurable(command, name, about)
      .argument('<uuid>', 'of the schedule, as in schedules all')
      .action(async (uuid: string, options: DurableOptions) => {
        checkUuid(uuid, '', '; schedules all lists them, with the token');
        const admin = await new Broker(options).admin();
        const answer = await admin.post(`${TITANIC}/${place}/${uuid}/${order}`);
        await tell(options.output, answer, `${uuid.toUpperCase()} ${past}\n`);
      });
  }
}
