/** The list of stored requests, with filters by uuid, service, state and age. */
import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';

import type { StoredRequest } from '../../admin/api/stored-answers.js';
import type { Page } from '../../admin/api/words.js';
import { get, messageOf, withQuery } from '../api.js';
import { Button, Card, Empty, FilterChoice } from '../controls.js';
import { count } from '../format.js';
import { filter, linkTo, setFilters } from '../links.js';
import { UUID } from '../names.js';
import { overview } from '../node.js';
import { usePolled } from '../poll.js';
import { RequestTable, retryDead, StateCounts, STATES } from '../requests.js';
import { Schedules } from '../schedules.js';

const EVERY_MS = 5000;
const PAGE_ROWS = 50;
/** A page of the API may be empty though more follow: the view loads up to this many more. */
const TRIES_MAX = 10;

const STATE_OPTIONS = [['', 'Any state'], ...STATES.map((each) => [each, each] as const)] as const;
const AGES: readonly (readonly [ms: string, label: string])[] = [
  ['', 'Any age'],
  ['60000', 'Older than 1 min'],
  ['600000', 'Older than 10 min'],
  ['3600000', 'Older than 1 h'],
  ['86400000', 'Older than 1 d'],
  ['604800000', 'Older than 7 d'],
];

/** Loads pages of the API until one page of the view is full, or the list ends. */
async function loadPage(
  parameters: Readonly<Record<string, string>>,
): Promise<Page<StoredRequest>> {
  const items: StoredRequest[] = [];
  let cursor = parameters['cursor'] ?? '';
  for (let tries = 0; ; tries++) {
    const limit = String(PAGE_ROWS - items.length);
    const path = withQuery('/api/v1/titanic/requests', { ...parameters, cursor, limit });
    const page = await get<Page<StoredRequest>>(path);
    items.push(...page.items);
    if (page.next === null || items.length >= PAGE_ROWS || tries === TRIES_MAX) {
      return { items, next: page.next };
    }
    cursor = page.next;
  }
}

export function DurableView(): VNode {
  const filters = {
    service: filter('service'),
    state: filter('state'),
    olderThanMs: filter('olderThanMs'),
  };
  if (overview.value === null) return <div class="stack" />;
  return (
    <div class="stack">
      {overview.value.stored === null ? (
        <Card title="Durable requests" isView>
          <Empty title="Switched off">Durable requests are switched off on this node.</Empty>
        </Card>
      ) : (
        <>
          <Requests filters={filters} />
          <Schedules />
        </>
      )}
    </div>
  );
}

function Requests({ filters }: { filters: Readonly<Record<string, string>> }): VNode {
  const stored = overview.value?.stored ?? null;
  return (
    <Card title="Durable requests" isView tools={<Filters filters={filters} />}>
      {stored === null ? null : <StateCounts of="All" counts={stored} />}
      <Pages key={JSON.stringify(filters)} filters={filters} />
    </Card>
  );
}

/** The pages of one list. */
function Pages({ filters }: { filters: Readonly<Record<string, string>> }): VNode {
  /** The cursors of the pages up to this one. */
  const cursors = useSignal<readonly string[]>(['']);
  const cursor = cursors.value.at(-1) ?? '';
  const { answer, error } = usePolled(cursor, () => loadPage({ ...filters, cursor }), EVERY_MS);
  const next = answer?.next ?? null;
  const isFirst = cursors.value.length === 1;
  const newer = (): unknown => (cursors.value = cursors.value.slice(0, -1));
  const older = (): unknown => next !== null && (cursors.value = [...cursors.value, next]);
  const said = isFirst ? 'newest first' : `page ${cursors.value.length}`;
  return (
    <>
      {answer === null ? null : (
        <RequestTable
          label="Durable requests"
          items={answer.items}
          empty={<NoRequests filters={filters} />}
        />
      )}
      <nav class="pager" aria-label="Pages">
        <span class="quiet" role="status">
          {error === null ? said : messageOf(error)}
        </span>
        <Button label="Newer" style="button small" isDisabled={isFirst} act={newer} />
        <Button label="Older" style="button small" isDisabled={next === null} act={older} />
      </nav>
    </>
  );
}

function NoRequests({ filters }: { filters: Readonly<Record<string, string>> }): VNode {
  const stored = overview.value?.stored ?? null;
  const all = stored === null ? 0 : STATES.reduce((sum, state) => sum + stored[state], 0);
  const isFiltered = Object.values(filters).some((value) => value !== '');
  if (isFiltered && all > 0) {
    return (
      <Empty title="No requests">
        {`None of the ${count(all)} stored requests matches the filters. `}
        <a href={linkTo('durable')}>Show all</a>
      </Empty>
    );
  }
  return (
    <Empty title="No requests">
      Nothing is stored now. A client stores requests with <code>client.submit</code> or{' '}
      <code>majordomo durable submit</code>.
    </Empty>
  );
}

function Filters({ filters }: { filters: Readonly<Record<string, string>> }): VNode {
  const { service = '', olderThanMs = '' } = filters;
  const search = useSignal(service);
  useEffect(() => {
    search.value = service;
  }, [service]);
  const apply = (): void => {
    const wanted = search.value.trim();
    if (UUID.test(wanted)) location.hash = linkTo('durable', wanted.toUpperCase());
    else setFilters({ service: wanted });
  };
  const retry = async (): Promise<void> => {
    const older = olderThanMs === '' ? {} : { olderThanMs: Number(olderThanMs) };
    const age = AGES.find(([ms]) => ms === olderThanMs && ms !== '')?.[1].toLowerCase() ?? null;
    await retryDead(service, older, age);
  };
  return (
    <>
      <form
        class="filters"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          apply();
        }}
      >
        <input
          type="search"
          placeholder="UUID or service"
          aria-label="Find by UUID or service"
          data-search
          spellcheck={false}
          value={search.value}
          onInput={({ currentTarget }) => {
            search.value = currentTarget.value;
          }}
          onChange={apply}
        />
        <FilterChoice name="state" label="State" options={STATE_OPTIONS} />
        <FilterChoice name="olderThanMs" label="Age" options={AGES} />
      </form>
      {service === '' ? null : <Button label="Retry all dead" act={retry} />}
    </>
  );
}
