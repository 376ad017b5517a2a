/** `majordomo titanic`: lists, shows, retries, cancels and purges stored requests. */
import { type Command, Option } from 'commander';

import { MajordomoError } from '../core/errors.js';
import { EXIT } from '../core/exit.js';
import type { AdminClient } from './admin-client.js';
import { addAdminOptions, adminClient, adminFacts, type AdminOptions, pageOf } from './admin.js';
import type { Facts } from './ask.js';
import { readAge } from './age.js';
import { confirmed } from './confirm.js';
import {
  addOutputOption,
  addSubcommand,
  type Done,
  examples,
  integerOption,
  type OutputFormat,
  timeoutOption,
} from './options.js';
import { duration, print, printJson, say } from './output.js';
import { Progress } from './progress.js';
import { defineSchedules } from './schedules.js';
import { bodiesText } from './titanic-bodies.js';
import { listText, historyText } from './titanic-text.js';
import { addWatchOption, show, WATCH_TEXT, type WatchOptions } from './watch.js';

interface FilterOptions extends AdminOptions {
  readonly output: OutputFormat;
  readonly service?: string;
  readonly state?: string;
  readonly olderThan?: number;
}

interface ListOptions extends FilterOptions, WatchOptions {
  readonly limit: number;
  readonly cursor?: string;
}

interface ShowOptions extends FilterOptions {
  readonly body?: boolean;
}

interface BulkOptions extends FilterOptions {
  readonly yes?: boolean;
}

const STATES = ['pending', 'dispatched', 'replied', 'dead'] as const;
const PURGED_STATES = ['dead', 'replied', 'pending'] as const;
const TITANIC = '/api/v1/titanic';
/** A slice of a long order takes a second, on a slow disk several. */
const TIMEOUT_MS = 30_000;
const SHORTENED = 'uuids are shortened unless you give a token (--token-file or MAJORDOMO_TOKEN)';
const LIST_DEFAULT = 100;
const LIST_MAX = 1_000_000;
const PAGE_MAX = 1000;
/** Requests per call of a long order: about a second of work. */
const SLICE_REQUESTS = 5000;

const EXAMPLES = [
  ['majordomo titanic ls --state dead', 'requests that need attention'],
  ['majordomo titanic ls --watch', 'the newest, refreshed every second'],
  ['majordomo titanic show 0193F0C0A1B27000800000000000ABCD', 'the history of one request'],
  ['majordomo titanic retry --service render', 'retry all dead requests of a service'],
  [
    'majordomo titanic purge --state replied --older-than 2d',
    'delete replies that clients did not close',
  ],
  ["majordomo titanic ls -o json | jq '.items[].uuid'", 'for scripts'],
] as const;

const AFTER = `${examples(EXAMPLES)}
A uuid is the credential for its reply: keep lists secret.
`;

const AFTER_PURGE = `
Deletes dead requests and replies that were not closed. Deletes pending requests only with --state pending,
and never requests that a worker has: use cancel for those. At least one filter is required.
`;

const AFTER_SHOW = `
--body needs http.token, and titanic.showBodies: true at the broker. Frames that are not text are shown in
hexadecimal; with -o json they are base64, in bodies.body and bodies.reply. The headers are in bodies.headers.
`;

const AFTER_RETRY = `
Retries one request, or all dead requests that match the filters. Each gets the full number of attempts again.
`;

export function defineTitanic(command: Command, done: Done): void {
  command.addHelpText('after', AFTER);
  defineList(command, done);
  defineShow(command, done);
  defineRetry(command, done);
  defineCancel(command, done);
  definePurge(command, done);
  defineSchedules(command, done);
}

function sub(command: Command, name: string, summary: string): Command {
  const made = addSubcommand(command, name, summary);
  made.showHelpAfterError(`(majordomo titanic ${name} --help shows more)`);
  return addOutputOption(addAdminOptions(made)).addOption(
    timeoutOption('how long to wait for an answer', TIMEOUT_MS),
  );
}

function addFilters(command: Command, states: readonly string[]): Command {
  return command
    .option('--service <name>', 'only this service, named as in lists')
    .addOption(new Option('--state <state>', 'only requests in this state').choices(states))
    .addOption(
      new Option(
        '--older-than <age>',
        'only requests accepted longer ago than this: 90s, 15m, 2h, 7d',
      ).argParser(readAge),
    );
}

// ---------------------------------------------------------------- one request

function defineShow(command: Command, done: Done): void {
  sub(command, 'show', 'show the history of one request')
    .argument('<uuid>')
    .option('--body', 'also show the headers and the request and reply bodies, up to 64 KiB each')
    .addHelpText('after', AFTER_SHOW)
    .action(async (uuid: string, options: ShowOptions) => {
      const path = pathOf(uuid);
      const history = await asked(options, path);
      const bodies = options.body === true ? await asked(options, `${path}/bodies`) : null;
      if (options.output === 'json') {
        const { headers, body, reply } = bodies ?? {};
        const sent = { headers, body, reply };
        await printJson(bodies === null ? history : { ...history, bodies: sent });
      } else {
        await print(historyText(history, Date.now()) + (bodies === null ? '' : bodiesText(bodies)));
      }
      done(EXIT.done);
    });
}

function defineCancel(command: Command, done: Done): void {
  sub(command, 'cancel', 'cancel and delete a request that is pending, dispatched or dead')
    .argument('<uuid>')
    .action(async (uuid: string, options: FilterOptions) => {
      const path = pathOf(uuid);
      const answer = await ordered(options, `${path}/cancel`);
      if (options.output === 'json') await printJson(answer);
      else await print(`${uuid.toUpperCase()} is cancelled\n`);
      done(EXIT.done);
    });
}

function defineRetry(command: Command, done: Done): void {
  addFilters(sub(command, 'retry', 'retry dead requests'), ['dead'])
    .argument('[uuid]')
    .addOption(YES)
    .addHelpText('after', AFTER_RETRY)
    .action(async (uuid: string | undefined, options: BulkOptions) => {
      const isFiltered = hasFilter(options);
      if ((uuid === undefined) !== isFiltered) {
        throw usage('give either a uuid, or at least one of --service, --state and --older-than');
      }
      if (uuid === undefined) {
        await handleMany(options, 'retry', ['dead'], 'retried');
      } else {
        const path = pathOf(uuid);
        const answer = await ordered(options, `${path}/retry`);
        if (options.output === 'json') await printJson(answer);
        else await print(`${uuid.toUpperCase()} is pending again\n`);
      }
      done(EXIT.done);
    });
}

async function asked(options: FilterOptions, path: string): Promise<Facts> {
  return adminFacts(path, await (await adminClient(options)).get(path));
}

async function ordered(options: FilterOptions, path: string): Promise<Facts> {
  return adminFacts(path, await (await adminClient(options)).post(path));
}

/** @throws ERR_USAGE */
function pathOf(uuid: string): string {
  if (/^[\dA-Fa-f]{32}$/.test(uuid)) return `${TITANIC}/requests/${uuid}`;
  throw usage(`'${uuid}': a uuid has 32 hexadecimal characters`);
}

// ---------------------------------------------------------------- many requests

function defineList(command: Command, done: Done): void {
  addFilters(addWatchOption(sub(command, 'ls', 'list stored requests, newest first')), STATES)
    .addOption(
      integerOption('--limit <n>', 'list at most this many', 1, LIST_MAX).default(LIST_DEFAULT),
    )
    .option('--cursor <cursor>', 'continue after the previous list: the value of its next')
    .addHelpText('after', WATCH_TEXT)
    .action(async (options: ListOptions) => {
      const admin = await adminClient(options);
      let last: List = { items: [], next: null };
      await show(
        options,
        async () => (last = await listOf(admin, options)),
        ({ items }) => listText(items, Date.now(), process.stdout.columns || Infinity),
      );
      if (options.output === 'text') hintAt(last);
      done(EXIT.done);
    });
}

interface List {
  readonly items: readonly Facts[];
  /** A cursor; `null`: there are no more. */
  readonly next: string | null;
}

/** Says what the list leaves out. */
function hintAt({ items, next }: List): void {
  if (items.some(({ uuid }) => String(uuid).endsWith('…'))) say(SHORTENED);
  if (next !== null) say(`there are more: use --limit, or --cursor ${next}`);
}

/** Page by page; a page may have fewer items than requested. */
async function listOf(admin: AdminClient, options: ListOptions): Promise<List> {
  const progress = options.watch === true ? null : new Progress('titanic ls');
  const items: Facts[] = [];
  let cursor = options.cursor ?? null;
  try {
    do {
      const limit = Math.min(PAGE_MAX, options.limit - items.length);
      const query = { ...queryOf(options), limit: String(limit) };
      const page = await pageOf(admin, `${TITANIC}/requests`, query, cursor);
      items.push(...page.items);
      cursor = page.next;
      progress?.count(items.length);
    } while (cursor !== null && items.length < options.limit);
  } finally {
    progress?.end();
  }
  return { items, next: cursor };
}

function definePurge(command: Command, done: Done): void {
  addFilters(sub(command, 'purge', 'delete stored requests'), PURGED_STATES)
    .addOption(YES)
    .addHelpText('after', AFTER_PURGE)
    .action(async (options: BulkOptions) => {
      if (!hasFilter(options)) {
        throw usage('say what to purge: --service, --state or --older-than');
      }
      const states = options.state === undefined ? ['dead', 'replied'] : [options.state];
      await handleMany(options, 'purge', states, 'deleted');
      done(EXIT.done);
    });
}

const YES: Option = new Option('-y, --yes', 'do not ask for confirmation');

/**
 * An order about many requests, slice by slice, so that it shows its progress and can be stopped.
 */
async function handleMany(
  options: BulkOptions,
  what: 'retry' | 'purge',
  states: readonly string[],
  past: string,
): Promise<void> {
  const admin = await adminClient(options);
  if (options.yes !== true) {
    const whose = options.service === undefined ? '' : ` of ${options.service}`;
    const question = `${what} all ${states.join(' and ')} requests${whose}${ageText(options)}?`;
    if (!(await confirmed(question))) {
      throw new MajordomoError('ERR_REQUEST_FAILED', 'nothing was done');
    }
  }
  const all = process.stderr.isTTY ? await expected(admin, options, states) : null;
  const progress = new Progress(`titanic ${what}`);
  const { service, state, olderThan } = options;
  const filter = { service, state, olderThanMs: olderThan };
  let count = 0;
  try {
    for (let more = true; more;) {
      const path = `${TITANIC}/${what}`;
      const slice = await admin.post(path, { ...filter, limit: SLICE_REQUESTS });
      const answer = adminFacts(path, slice);
      if (typeof answer['count'] !== 'number') throw notUnderstood();
      count += answer['count'];
      more = answer['more'] === true;
      if (all === null) progress.count(count);
      else progress.show(count, Math.max(all, count));
    }
  } catch (error) {
    progress.end();
    if (count > 0) say(`${count} were ${past} before the following error; these changes stay`);
    throw error;
  }
  progress.end();
  if (options.output === 'json') await printJson({ count });
  else await print(`${count} ${past}\n`);
}

function ageText({ olderThan }: FilterOptions): string {
  return olderThan === undefined ? '' : ` older than ${duration(olderThan)}`;
}

/** About how many there are; `null`: unknown without counting. */
async function expected(
  admin: AdminClient,
  { service, olderThan }: FilterOptions,
  states: readonly string[],
): Promise<number | null> {
  if (olderThan !== undefined) return null;
  const path = `${TITANIC}/counts`;
  const counts = adminFacts(path, await admin.get(path));
  const services = Array.isArray(counts['services']) ? (counts['services'] as Facts[]) : [];
  const from =
    service === undefined ? counts : services.find((each) => each['service'] === service);
  let all = 0;
  for (const state of states) {
    const count = from?.[state];
    if (typeof count !== 'number') return null;
    all += count;
  }
  return all;
}

// ---------------------------------------------------------------- helpers

function queryOf({ service, state, olderThan }: FilterOptions): Readonly<Record<string, string>> {
  return {
    ...(service === undefined ? {} : { service }),
    ...(state === undefined ? {} : { state }),
    ...(olderThan === undefined ? {} : { olderThanMs: String(olderThan) }),
  };
}

function hasFilter({ service, state, olderThan }: FilterOptions): boolean {
  return service !== undefined || state !== undefined || olderThan !== undefined;
}

function notUnderstood(): MajordomoError {
  return new MajordomoError(
    'ERR_REQUEST_FAILED',
    'unexpected answer: is the broker newer than this command?',
  );
}

function usage(text: string): MajordomoError {
  return new MajordomoError('ERR_USAGE', text);
}
