/** `majordomo durable`: lists, shows, retries, cancels and purges stored requests; schedules. */
import type { Command } from 'commander';

import { EXIT, type ExitStatus } from '../../core/exit.js';
import { tell } from '../common/formats.js';
import { checkUuid, type Done, examples, usage } from '../common/options.js';
import { Broker } from '../connection/broker.js';
import { bodiesText } from './bodies.js';
import { type BulkOptions, handleMany } from './bulk.js';
import {
  addDurable,
  addFilters,
  type DurableOptions,
  FILTER_TEXT,
  filterOf,
  TITANIC,
} from './filter.js';
import { defineList } from './list.js';
import { defineResult } from './result.js';
import { defineSchedules } from './schedules.js';
import { historyText } from './text.js';

interface ShowOptions extends DurableOptions {
  readonly body?: boolean;
}

const EXAMPLES = [
  ['majordomo durable ls --state dead', 'requests that need attention'],
  ['majordomo durable ls --watch', 'the newest, refreshed every second'],
  ['majordomo durable show 0193F0C0A1B27000800000000000ABCD', 'the history of one request'],
  ['majordomo durable result 0193F0C0A1B27000800000000000ABCD', 'its reply'],
  ['majordomo durable ls --since 1h --group-by reason', 'what fails, and how often'],
  ['majordomo durable retry --service render --reason timeout --dry-run', 'how many that would be'],
  ['majordomo durable retry --service render', 'retry all dead requests of a service'],
  [
    'majordomo durable purge --state replied --older-than 2d',
    'delete replies that clients did not close',
  ],
  ["majordomo durable ls -o json | jq '.items[].uuid'", 'for scripts'],
] as const;

const AFTER = `${examples(EXAMPLES)}
A uuid is the credential for its reply: keep lists secret.
`;

const AFTER_PURGE = `
Deletes dead requests and replies that were not closed. Deletes pending requests only with --state pending,
and never requests that a worker has: use cancel for those. At least one filter is required.
${FILTER_TEXT}`;

const AFTER_SHOW = `
--body needs http.token, and titanic.showBodies: true at the broker. Frames that are not text are shown in
hexadecimal; with -o json they are base64, in bodies.body and bodies.reply. The headers are in bodies.headers,
and what only its kind has, such as the URL of a webhook, is in bodies.own.
`;

const AFTER_RETRY = `
Retries one request, or all dead requests that match the filters. Each gets the full number of attempts again.
${FILTER_TEXT}`;

const AFTER_CANCEL = `
Cancels one request, or all without a reply that match the filters: also those that a worker has.
${FILTER_TEXT}`;

const ONE_OR_FILTER = 'give either a uuid, or at least one filter, such as --service or --reason';

export function define(command: Command, done: Done): void {
  command.addHelpText('after', AFTER);
  defineList(command);
  defineShow(command);
  defineResult(command);
  defineRetry(command, done);
  defineCancel(command, done);
  definePurge(command, done);
  defineSchedules(command, done);
}

// ---------------------------------------------------------------- one request

function defineShow(command: Command): void {
  addDurable(command, 'show', 'show the history of one request', 'list')
    .argument('<uuid>')
    .option('--body', 'also show the headers and the request and reply bodies, up to 64 KiB each')
    .addHelpText('after', AFTER_SHOW)
    .action(async (uuid: string, options: ShowOptions) => {
      const path = pathOf(uuid);
      const admin = await new Broker(options).admin();
      const history = await admin.get(path);
      const bodies = options.body === true ? await admin.get(`${path}/bodies`) : null;
      const { headers, body, reply, own } = bodies ?? {};
      await tell(options.output, history, {
        text: (_history, width) =>
          historyText(history, Date.now(), width) + (bodies === null ? '' : bodiesText(bodies)),
        names: ({ uuid: its }) => [its],
        json: () =>
          bodies === null ? history : { ...history, bodies: { headers, body, reply, own } },
      });
    });
}

function defineRetry(command: Command, done: Done): void {
  const retry = addDurable(command, 'retry', 'retry dead requests');
  addBulkOptions(retry.argument('[uuid]'), ['dead'])
    .addHelpText('after', AFTER_RETRY)
    .action(async (uuid: string | undefined, options: BulkOptions) => {
      done(await oneOrMany(uuid, options, 'retry', 'is pending again'));
    });
}

function defineCancel(command: Command, done: Done): void {
  const about = 'cancel and delete requests that are pending, dispatched or dead';
  const cancel = addDurable(command, 'cancel', about);
  addBulkOptions(cancel.argument('[uuid]'), ['pending', 'dispatched', 'dead'])
    .addHelpText('after', AFTER_CANCEL)
    .action(async (uuid: string | undefined, options: BulkOptions) => {
      done(await oneOrMany(uuid, options, 'cancel', 'is cancelled'));
    });
}

function definePurge(command: Command, done: Done): void {
  const purge = addDurable(command, 'purge', 'delete durable requests');
  addBulkOptions(purge, ['dead', 'replied', 'pending'])
    .addHelpText('after', AFTER_PURGE)
    .action(async (options: BulkOptions) => {
      refuseEmpty(options);
      if (!hasFilter(options)) {
        throw usage('say what to purge: at least one filter, such as --service or --state');
      }
      done(await handleMany(options, 'purge'));
    });
}

function addBulkOptions(command: Command, states: readonly string[]): Command {
  return addFilters(command, states)
    .option('-y, --yes', 'do not ask for confirmation')
    .option('--dry-run', 'only say how many there are');
}

async function oneOrMany(
  uuid: string | undefined,
  options: BulkOptions,
  act: 'retry' | 'cancel',
  past: string,
): Promise<ExitStatus> {
  refuseEmpty(options);
  if ((uuid === undefined) !== hasFilter(options)) throw usage(ONE_OR_FILTER);
  if (uuid === undefined) return await handleMany(options, act);
  if (options.dryRun === true) throw usage('--dry-run needs a filter instead of a uuid');
  const path = `${pathOf(uuid)}/${act}`;
  const answer = await (await new Broker(options).admin()).post(path);
  await tell(options.output, answer, `${uuid.toUpperCase()} ${past}\n`);
  return EXIT.done;
}

/** A variable of a script that is not set would stand for all requests of which no attempt failed. */
function refuseEmpty(options: BulkOptions): void {
  const empty = Object.entries(filterOf(options)).find(([, value]) => value === '');
  if (empty !== undefined) throw usage(`--${empty[0]} is empty: say what it has to be`);
}

function hasFilter(options: BulkOptions): boolean {
  return Object.keys(filterOf(options)).length > 0;
}

/** @throws ERR_USAGE */
function pathOf(uuid: string): string {
  checkUuid(uuid);
  return `${TITANIC}/requests/${uuid}`;
}
