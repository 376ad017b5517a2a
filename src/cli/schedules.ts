/** `majordomo durable schedule`, `unschedule`, `schedules`: as a client, for its own schedules. */
import { type Command, Option } from 'commander';

import { escapeName } from '../core/escape.js';
import { EXIT } from '../core/exit.js';
import { DURATION_MS_MAX } from '../core/numbers.js';
import type { Backoff, Client, Schedule } from '../sdk/client.js';
import { ATTEMPTS_MAX } from '../sdk/jobs/job-options.js';
import { curveOf, withKeyHint } from './curve.js';
import { endpointsOf } from './endpoints.js';
import { bodyOf, STDIN } from './frames.js';
import {
  addEndpointOption,
  addOutputOption,
  addSubcommand,
  checkService,
  type Done,
  type EndpointOptions,
  examples,
  integerOption,
  type OutputFormat,
  timeoutOption,
} from './options.js';
import { defineScheduleOrders } from './schedule-orders.js';
import { readBackoff } from './stored.js';
import { duration, print, printable, printJson, say, table } from './output.js';

interface CommandOptions extends EndpointOptions {
  readonly output: OutputFormat;
  readonly timeoutMs: number;
}

interface MakeOptions extends CommandOptions {
  readonly timeZone?: string;
  readonly priority?: number;
  readonly ttlMs?: number;
  readonly maxAttempts?: number;
  readonly delayMs?: number;
  readonly backoffMs?: Backoff;
  readonly shared?: boolean;
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

const COLUMNS = [
  { head: 'NAME' },
  { head: 'CRON' },
  { head: 'TIME ZONE' },
  { head: 'SERVICE' },
  { head: 'NEXT' },
  { head: 'IN', right: true },
  { head: 'FIRINGS', right: true },
] as const;

export function defineSchedules(command: Command, done: Done): void {
  const sub = (name: string, summary: string): Command => {
    const made = addSubcommand(command, name, summary);
    made.showHelpAfterError(`(majordomo durable ${name} --help shows more)`);
    return addOutputOption(addEndpointOption(made)).addOption(
      timeoutOption('how long to wait for an answer'),
    );
  };
  sub('schedule', 'have a request stored whenever a cron line says so')
    .argument('<name>', 'of the schedule')
    .argument('<cron>', 'the cron line, as one argument')
    .argument('<service>', 'the service of the requests')
    .argument('[frame...]', `frames of their body; ${STDIN} is standard input`)
    .option('--time-zone <zone>', 'whose local times the line names (default: UTC)')
    .addOption(integerOption('--priority <n>', '-100 to 100, higher runs first', -100, 100))
    .addOption(integerOption('--delay-ms <ms>', 'they run that long after it', 0, DURATION_MS_MAX))
    .addOption(integerOption('--ttl-ms <ms>', 'they expire unserved after it', 1, DURATION_MS_MAX))
    .addOption(integerOption('--max-attempts <n>', 'after which one is dead', 1, ATTEMPTS_MAX))
    .addOption(
      new Option(
        '--backoff-ms <base..max>',
        'pause after the first failed attempt, doubled after each, and the longest',
      ).argParser(readBackoff),
    )
    .option('--shared', 'other keys may read and close them, too, with their uuids')
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
        const made = await withClient(options, (client) =>
          client.schedule(name, service, body, { cron, ...optionsOf(options) }),
        );
        if (options.output === 'json') await printJson(jsonOf(made));
        else await print(`${printable(name)} is due next at ${made.next.toISOString()}\n`);
        done(EXIT.done);
      },
    );
  sub('unschedule', 'end a schedule; the requests that it stored stay')
    .argument('<name>', 'of the schedule')
    .action(async (name: string, options: CommandOptions) => {
      const removed = await withClient(options, (client) => client.unschedule(name));
      if (options.output === 'json') await printJson({ removed });
      else await print(`${printable(name)} ${removed ? 'is ended' : 'was no schedule of yours'}\n`);
      done(removed ? EXIT.done : EXIT.failed);
    });
  const schedules = sub('schedules', 'list your schedules; as an operator, those of all owners');
  schedules.action(async (options: CommandOptions) => {
    const all = await withClient(options, (client) => client.schedules());
    if (options.output === 'json') await printJson({ items: all.map(jsonOf) });
    else if (all.length === 0) say('no schedules');
    else await print(table(COLUMNS, all.map(rowOf)));
    done(EXIT.done);
  });
  defineScheduleOrders(schedules, done);
}

function optionsOf(options: MakeOptions): object {
  const { timeZone, priority, delayMs, ttlMs, maxAttempts, backoffMs: backoff, shared } = options;
  const all = { timeZone, priority, delayMs, ttlMs, maxAttempts, backoff, shared };
  const given = Object.entries(all);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

function rowOf({ name, cron, timeZone, service, next, firings }: Schedule): string[] {
  const inMs = Math.max(0, next.getTime() - Date.now());
  return [
    ...[printable(name), printable(cron), printable(timeZone), shownName(service)],
    ...[next.toISOString(), duration(inMs), String(firings)],
  ];
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

function shownName(service: string): string {
  return escapeName(Buffer.from(service));
}

async function withClient<Value>(
  options: CommandOptions,
  use: (client: Client) => Promise<Value>,
): Promise<Value> {
  const endpoints = await endpointsOf(options);
  const { Client } = await import('../sdk/client.js');
  const { timeoutMs } = options;
  const curve = await curveOf(options);
  const client = new Client({ endpoints, timeoutMs, ...curve });
  try {
    return await withKeyHint(curve.curve, () => use(client));
  } finally {
    await client.close();
  }
}
