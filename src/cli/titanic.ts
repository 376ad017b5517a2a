/** `majordomo titanic`: stored requests, seen and handled by an operator. */
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
  type Done,
  examples,
  integerOption,
  type OutputFormat,
  timeoutOption,
} from './options.js';
import { duration, print, printJson, say } from './output.js';
import { Progress } from './progress.js';
import { bodiesText } from './titanic-bodies.js';
import { listText, historyText } from './titanic-text.js';

interface FilterOptions extends AdminOptions {
  readonly output: OutputFormat;
  readonly service?: string;
  readonly state?: string;
  readonly olderThan?: number;
}

interface ListOptions extends FilterOptions {
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
/** A slice of a long order takes a second, on a slow disk some. */
const TIMEOUT_MS = 30_000;
const SHORTENED = 'uuids are shortened without a token (--token-file, or MAJORDOMO_TOKEN)';
const LIST_DEFAULT = 100;
const LIST_MAX = 1_000_000;
const PAGE_MAX = 1000;
/** Requests of one call of a long order: about a second. */
const SLICE_REQUESTS = 5000;

const EXAMPLES = [
  ['majordomo titanic ls --state dead', 'what needs a look'],
  ['majordomo titanic show 0193F0C0A1B27000800000000000ABCD', "a request's whole story"],
  ['majordomo titanic retry --service render', 'all the dead of a service, once more'],
  ['majordomo titanic purge --state replied --older-than 2d', 'replies that nobody fetched'],
  ["majordomo titanic ls -o json | jq '.items[].uuid'", 'for programs'],
] as const;

const AFTER = `${examples(EXAMPLES)}
A uuid is the credential for its reply: treat lists as secrets.
`;

const AFTER_PURGE = `
Deletes the dead, and replies that were not closed; pending requests only with --state pending, and
never what is with a worker: that can be cancelled. One of the filters has to be given.
`;

const AFTER_SHOW = `
--body needs http.token, and a broker with titanic.showBodies: true. What is not text is shown in hexadecimal digits;
in JSON it is base64, in bodies.body and bodies.reply.
`;

const AFTER_RETRY = `
Either one request, or by filters all the dead that fit. They are tried as often again as new ones.
`;

export function defineTitanic(command: Command, done: Done): void {
  command.addHelpText('after', AFTER);
  defineList(command, done);
  defineShow(command, done);
  defineRetry(command, done);
  defineCancel(command, done);
  definePurge(command, done);
}

function sub(command: Command, name: string, summary: string): Command {
  const made = command.command(name).summary(summary).description(summary);
  made.showHelpAfterError(`(majordomo titanic ${name} --help shows more)`);
  return addOutputOption(addAdminOptions(made)).addOption(
    timeoutOption('how long to wait for an answer', TIMEOUT_MS),
  );
}

function addFilters(command: Command, states: readonly string[]): Command {
  return command
    .option('--service <name>', 'only of this service, as lists show its name')
    .addOption(new Option('--state <state>', 'only in this state').choices(states))
    .addOption(
      new Option('--older-than <age>', 'only accepted longer ago: 90s, 15m, 2h, 7d').argParser(
        readAge,
      ),
    );
}

// ---------------------------------------------------------------- one request

function defineShow(command: Command, done: Done): void {
  sub(command, 'show', 'the whole story of one request')
    .argument('<uuid>')
    .option('--body', 'also what was sent and what was answered, up to 64 KiB of each')
    .addHelpText('after', AFTER_SHOW)
    .action(async (uuid: string, options: ShowOptions) => {
      const path = pathOf(uuid);
      const history = await asked(options, path);
      const bodies = options.body === true ? await asked(options, `${path}/bodies`) : null;
      if (options.output === 'json') {
        const { body, reply } = bodies ?? {};
        await printJson(bodies === null ? history : { ...history, bodies: { body, reply } });
      } else {
        await print(historyText(history, Date.now()) + (bodies === null ? '' : bodiesText(bodies)));
      }
      done(EXIT.done);
    });
}

function defineCancel(command: Command, done: Done): void {
  sub(command, 'cancel', 'close one that is pending, dispatched or dead')
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
  addFilters(sub(command, 'retry', 'have dead ones tried again'), ['dead'])
    .argument('[uuid]')
    .addOption(YES)
    .addHelpText('after', AFTER_RETRY)
    .action(async (uuid: string | undefined, options: BulkOptions) => {
      const isFiltered = hasFilter(options);
      if ((uuid === undefined) !== isFiltered) {
        throw usage('either a uuid, or one of --service, --state and --older-than');
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
  addFilters(sub(command, 'ls', 'a list of them, the newest first'), STATES)
    .addOption(integerOption('--limit <n>', 'at most so many', 1, LIST_MAX).default(LIST_DEFAULT))
    .option('--cursor <cursor>', 'go on where the list before ended: its next')
    .action(async (options: ListOptions) => {
      const { items, next } = await listOf(options);
      if (options.output === 'json') await printJson({ items, next });
      else {
        await print(listText(items, Date.now(), process.stdout.columns || Infinity));
        if (items.some(({ uuid }) => String(uuid).endsWith('…'))) say(SHORTENED);
        if (next !== null) say(`there are more: --limit, or --cursor ${next}`);
      }
      done(EXIT.done);
    });
}

/** Page by page, of which each may hold fewer than were asked for. */
async function listOf(
  options: ListOptions,
): Promise<{ readonly items: readonly Facts[]; readonly next: string | null }> {
  const admin = await adminClient(options);
  const progress = new Progress('titanic ls');
  const items: Facts[] = [];
  let cursor = options.cursor ?? null;
  try {
    do {
      const limit = Math.min(PAGE_MAX, options.limit - items.length);
      const query = { ...queryOf(options), limit: String(limit) };
      const page = await pageOf(admin, `${TITANIC}/requests`, query, cursor);
      items.push(...page.items);
      cursor = page.next;
      progress.count(items.length);
    } while (cursor !== null && items.length < options.limit);
  } finally {
    progress.end();
  }
  return { items, next: cursor };
}

function definePurge(command: Command, done: Done): void {
  addFilters(sub(command, 'purge', 'delete many'), PURGED_STATES)
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

const YES: Option = new Option('-y, --yes', 'do not ask first, at a terminal');

/** An order about many, slice by slice, so that one sees how it goes on and can stop it. */
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
    if (count > 0) say(`${count} were ${past} before`);
    throw error;
  }
  progress.end();
  if (options.output === 'json') await printJson({ count });
  else await print(`${count} ${past}\n`);
}

function ageText({ olderThan }: FilterOptions): string {
  return olderThan === undefined ? '' : ` older than ${duration(olderThan)}`;
}

/** How many there are about; `null`: nobody knows without counting. */
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

// ---------------------------------------------------------------- parts

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
  return new MajordomoError('ERR_REQUEST_FAILED', 'the answer is not understood: a newer broker?');
}

function usage(text: string): MajordomoError {
  return new MajordomoError('ERR_USAGE', text);
}
