/** Stored requests by the reason of their failure, with the choice of one group. */
import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';

import type { RequestGroup } from '../admin/api/stored-answers.js';
import type { Page } from '../admin/api/words.js';
import { get, messageOf } from './api.js';
import { count, line, NONE, plural } from './format.js';
import { filter, setFilters } from './address.js';
import { usePolled } from './poll.js';
import { type Selection, withSelection } from './stored-filter.js';
import { type Column, numeric, Table } from './table.js';

const EVERY_MS = 10_000;
/** A count of many takes seconds, and is repeated less often. */
const MANY = 100_000;
const MANY_EVERY_MS = 60_000;

interface Counted {
  readonly groups: readonly RequestGroup[];
  readonly scanned: number;
}

function keyOf({ filter: { code = '', pattern = '' } }: RequestGroup): string {
  return JSON.stringify({ code, pattern });
}

function reasonOf({ filter: { code, pattern = '' } }: RequestGroup): string {
  return code === '' ? 'no attempt failed' : line(pattern);
}

const COLUMNS: readonly Column<RequestGroup>[] = [
  {
    head: 'All',
    cell: (group) => {
      const key = keyOf(group);
      const isChosen = filter('group') === key;
      return (
        <input
          type="checkbox"
          aria-label={`All ${group.count} of this reason: ${group.filter.code ?? ''} ${reasonOf(group)}`}
          checked={isChosen}
          onChange={() => setFilters({ group: isChosen ? '' : key })}
        />
      );
    },
  },
  numeric('Requests', (group) => group.count),
  { head: 'Code', cell: ({ filter: { code = '' } }) => (code === '' ? NONE : code) },
  {
    head: 'Reason',
    cell: (group) => (
      <span class="reason" title={line(group.example.reason ?? '')}>
        {reasonOf(group)}
      </span>
    ),
  },
];

interface GroupsOf {
  readonly selection: Selection;
  /** Reasons need a token; without one, the requests are only counted. */
  readonly by: 'reason' | 'service';
  /** How many requests there are, of those that the state selects. */
  readonly stored: number;
}

export function Groups({ selection, by, stored }: GroupsOf): VNode | null {
  const partial = useSignal<Counted | null>(null);
  const load = async (isOver: () => boolean): Promise<Counted> => {
    const found = new Map<string, RequestGroup>();
    let scanned = 0;
    let cursor: string | null = '';
    while (cursor !== null && !isOver()) {
      const parameters = { by, limit: '1000', cursor };
      const path = withSelection('/api/v1/titanic/groups', selection, parameters);
      const page: Page<RequestGroup> & { readonly scanned: number } = await get(path);
      for (const group of page.items) {
        const key = keyOf(group);
        const known = found.get(key);
        // The first page has the newest.
        found.set(key, { ...(known ?? group), count: (known?.count ?? 0) + group.count });
      }
      scanned += page.scanned;
      cursor = page.next;
      partial.value = { groups: [...found.values()], scanned };
    }
    return { groups: [...found.values()], scanned };
  };
  const delay = (now: Counted | null): number =>
    (now?.scanned ?? 0) > MANY ? MANY_EVERY_MS : EVERY_MS;
  const { answer, error } = usePolled(`${by} ${JSON.stringify(selection)}`, load, delay);
  const shown = answer ?? partial.value;
  if (error !== null) return <p class="quiet">{messageOf(error)}</p>;
  if (shown === null) return null;
  const of = count(Math.max(shown.scanned, stored));
  const total = shown.groups.reduce((sum, group) => sum + group.count, 0);
  const found = `${plural(total, 'request')} found`;
  const said = answer === null ? `${found}; ${count(shown.scanned)} of ${of} examined` : found;
  const hasReasons = shown.groups.some(({ filter: { code = '' } }) => code !== '');
  return (
    <>
      <p class="quiet" role={answer === null ? undefined : 'status'}>
        {said}
      </p>
      {hasReasons ? (
        <Table
          label="Reasons"
          columns={COLUMNS}
          items={shown.groups}
          rowKey={keyOf}
          sortedBy="Requests"
          pageRows={10}
          empty={null}
        />
      ) : null}
    </>
  );
}
