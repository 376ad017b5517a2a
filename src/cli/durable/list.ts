/** `majordomo durable ls`: stored requests, one by one or in groups. */
import { type Command, Option } from 'commander';

import type { AdminClient, AdminPage } from '../connection/admin-client.js';
import { Broker } from '../connection/broker.js';
import { type Facts, isFacts } from '../common/facts.js';
import {
  addDurable,
  addFilters,
  type DurableOptions,
  FILTER_TEXT,
  filterOf,
  TITANIC,
} from './filter.js';
import { groupsText, LIST, listText, type ShownGroup } from './text.js';
import { integerOption } from '../common/options.js';
import { say } from '../common/output.js';
import { Progress } from '../common/progress.js';
import { narrowText } from '../common/table.js';
import { addWatchOption, show, WATCH_TEXT, type WatchOptions } from '../common/watch.js';

interface ListOptions extends DurableOptions, WatchOptions {
  readonly limit: number;
  readonly cursor?: string;
  readonly groupBy?: string;
}

const STATES = ['pending', 'dispatched', 'replied', 'dead'] as const;
const GROUPINGS = ['reason', 'code', 'service'] as const;
const LIST_DEFAULT = 100;
const LIST_MAX = 1_000_000;
const PAGE_MAX = 1000;
/** The most groups: what is beyond them is counted as others. */
const GROUPS_MAX = 10_000;

const GROUPS_TEXT = `
--group-by reason counts requests that failed in the same way: those of one code whose reasons differ only in numbers and
identifiers, which are # in PATTERN. --code CODE --pattern PATTERN then selects one of the groups.
`;

export function defineList(command: Command): void {
  addFilters(
    addWatchOption(addDurable(command, 'ls', 'list durable requests, newest first', 'list')),
    STATES,
  )
    .addOption(
      new Option('--group-by <what>', 'count them, those with the most first').choices(GROUPINGS),
    )
    .addOption(
      integerOption('--limit <n>', 'list at most this many', 1, LIST_MAX).default(LIST_DEFAULT),
    )
    .addOption(
      new Option(
        '--cursor <cursor>',
        'continue after the previous list: the value of its next',
      ).conflicts(['groupBy']),
    )
    .addHelpText('after', FILTER_TEXT + GROUPS_TEXT + narrowText(LIST) + WATCH_TEXT)
    .action(async (options: ListOptions) => {
      const { groupBy } = options;
      if (groupBy === undefined) await printList(options);
      else await printGroups(options, groupBy);
    });
}

interface List {
  readonly items: readonly Facts[];
  /** A cursor; `null`: there are no more. */
  readonly next: string | null;
}

async function printList(options: ListOptions): Promise<void> {
  const admin = await new Broker(options).admin();
  let last: List = { items: [], next: null };
  await show(options, async () => (last = await listOf(admin, options)), {
    text: ({ items }, width) => listText(items, Date.now(), width),
    names: ({ items }) => items.map(({ uuid }) => uuid),
  });
  if (options.output !== 'json') hintAt(last, admin);
}

/** Says what the list leaves out. */
function hintAt({ items, next }: List, admin: AdminClient): void {
  if (items.some(({ uuid }) => String(uuid).endsWith('…'))) {
    say(`uuids are shortened, and reasons left out, unless you give a token (${admin.tokenHint})`);
  }
  if (next !== null) say(`there are more: use --limit, or --cursor ${next}`);
}

/** Page by page; a page may have fewer items than requested. */
async function listOf(admin: AdminClient, options: ListOptions): Promise<List> {
  const items: Facts[] = [];
  const next = await read(admin, options, `${TITANIC}/requests`, (page) => {
    items.push(...page.items);
    return { found: items.length, rest: options.limit - items.length };
  });
  return { items, next };
}

/**
 * Answer by answer, until there are no more, or enough.
 * @param take says how many were found so far, and how many more are wanted
 * @returns the cursor of the rest
 */
async function read(
  admin: AdminClient,
  options: ListOptions,
  path: string,
  take: (page: AdminPage) => { readonly found: number; readonly rest: number },
  more: Readonly<Record<string, string>> = {},
): Promise<string | null> {
  const progress = options.watch === true ? null : new Progress('durable ls');
  let cursor = options.cursor ?? null;
  let [rest, scanned] = [options.limit, 0];
  try {
    do {
      const limit = String(Math.min(PAGE_MAX, rest));
      const page = await admin.page(path, { ...filterOf(options), ...more, limit }, cursor);
      cursor = page.next;
      scanned += page.scanned;
      const taken = take(page);
      rest = taken.rest;
      progress?.count(taken.found, scanned);
    } while (cursor !== null && rest > 0);
  } finally {
    progress?.end();
  }
  return cursor;
}

// ---------------------------------------------------------------- groups

interface Group extends ShownGroup {
  count: number;
}

interface Groups {
  readonly items: readonly Group[];
  /** Requests of the groups that are not listed. */
  readonly others: number;
}

async function printGroups(options: ListOptions, by: string): Promise<void> {
  const admin = await new Broker(options).admin();
  await show(options, () => groupsOf(admin, options, by), {
    text: ({ items, others }, width) => groupsText(items, others, by, width),
    names: ({ items }) => items.map(({ filter }) => filter[by === 'reason' ? 'pattern' : by]),
  });
}

/** Adds up the counts of all answers. */
async function groupsOf(admin: AdminClient, options: ListOptions, by: string): Promise<Groups> {
  const groups = new Map<string, Group>();
  let found = 0;
  const path = `${TITANIC}/groups`;
  const unexpected = (): never => {
    throw admin.unexpected(path);
  };
  const take = (page: AdminPage): { found: number; rest: number } => {
    for (const item of page.items) {
      const { filter, count, example } = groupIn(item) ?? unexpected();
      const key = JSON.stringify(filter);
      const group = groups.get(key);
      found += count;
      if (group !== undefined) group.count += count;
      else if (groups.size < GROUPS_MAX) groups.set(key, { filter, count, example });
    }
    return { found, rest: PAGE_MAX };
  };
  await read(admin, options, path, take, { by });
  const items = [...groups.values()].sort((a, b) => b.count - a.count).slice(0, options.limit);
  return { items, others: found - items.reduce((sum, { count }) => sum + count, 0) };
}

function groupIn({ filter, count, example }: Facts): Group | null {
  const isWhole = typeof count === 'number' && isFacts(filter) && isFacts(example);
  return isWhole ? { filter, count, example } : null;
}
