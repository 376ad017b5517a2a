/** Stored requests: filters, groups by reason, the list, and commands on what is chosen. */
import { type Signal, useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import type { StoredRequest } from '../../admin/api/stored-answers.js';
import type { Page } from '../../admin/api/words.js';
import { get, token } from '../api.js';
import { Button, Card, Empty, FilterChoice, Loading, NeedsToken } from '../controls.js';
import { count } from '../format.js';
import { Groups } from '../groups.js';
import { filter, linkTo, setFilters } from '../address.js';
import { UUID } from '../names.js';
import { askNow, isElsewhere, overview } from '../node.js';
import { usePages } from '../paging.js';
import { usePolled } from '../poll.js';
import { RequestTable, StateCounts, STATES } from '../requests.js';
import { Schedules } from '../schedules.js';
import {
  filtersNow,
  groupNow,
  needsToken,
  PHASES,
  type Selection,
  withSelection,
} from '../stored-filter.js';
import type { Column } from '../table.js';
import { type Act, actOnAll, actOnEach, ACTS, isAllowed, usualStates } from '../triage.js';

const FOUND_EVERY_MS = 5000;
const STATE_OPTIONS = [
  ['', 'Any state'],
  ...STATES.flatMap((each) => [
    [each, each] as const,
    ...(each === 'pending' ? PHASES.map((phase) => [phase, `pending: ${phase}`] as const) : []),
  ]),
] as const;

export function DurableView(): VNode {
  if (overview.value === null) {
    return (
      <Card title="Durable requests" isView>
        <Loading of={{ answer: null, error: null, isBehind: false, again: askNow }} />
      </Card>
    );
  }
  return (
    <div class="stack">
      {overview.value.stored === null ? (
        <Card title="Durable requests" isView>
          <Empty title="Switched off">
            Durable requests are switched off on this node. To store some, set{' '}
            <code>titanic.enabled: true</code>.
          </Empty>
        </Card>
      ) : (
        <>
          <Requests />
          <Schedules />
        </>
      )}
    </div>
  );
}

/** How many requests the node has in this state; empty: in any. */
function storedIn(state: string): number {
  const stored = overview.value?.stored ?? null;
  if (stored === null) return 0;
  const states = STATES.filter((each) => state === '' || each === state);
  return states.reduce((sum, each) => sum + stored[each], 0);
}

function Requests(): VNode {
  const stored = overview.value?.stored ?? null;
  const filters = filtersNow();
  const selection = { ...filters, ...groupNow() };
  const isLocked = token.value === null;
  const key = JSON.stringify(selection);
  return (
    <Card title="Durable requests" isView>
      {stored === null ? null : <StateCounts of="All" counts={stored} />}
      <Filters />
      {isLocked ? (
        <p class="quiet">
          <NeedsToken what="Reasons and commands" />
        </p>
      ) : null}
      {isLocked && needsToken(selection) ? null : (
        <Groups
          key={JSON.stringify(filters)}
          selection={filters}
          by={isLocked ? 'service' : 'reason'}
          stored={storedIn(filter('state') === 'dead' ? 'dead' : '')}
        />
      )}
      {isLocked && needsToken(selection) ? (
        <Empty title="Token needed">These filters need a token.</Empty>
      ) : (
        <Pages key={key} selection={selection} />
      )}
    </Card>
  );
}

/** The pages of one list, and what is chosen of it. */
function Pages({ selection }: { selection: Selection }): VNode {
  /** A chosen group is chosen as a whole. */
  const isAll = useSignal('pattern' in selection);
  const chosen = useSignal<ReadonlyMap<string, StoredRequest>>(new Map());
  const { polled, isWhole, pager } = usePages<StoredRequest>(
    (page) => withSelection('/api/v1/titanic/requests', selection, page),
    ['newest first', 'Newer', 'Older'],
  );
  const choose = (item: StoredRequest): void => {
    const changed = new Map(chosen.value);
    if (!changed.delete(item.uuid)) changed.set(item.uuid, item);
    chosen.value = changed;
  };
  const choice: Column<StoredRequest> = {
    head: '✓',
    cell: (item) => (
      <input
        type="checkbox"
        aria-label={`Select ${item.uuid}`}
        checked={isAll.value || chosen.value.has(item.uuid)}
        // Read before the token was given, it has half of its uuid.
        disabled={isAll.value || !UUID.test(item.uuid)}
        onChange={() => choose(item)}
      />
    ),
  };
  const group = filter('group');
  /** Meanwhile another view may be shown, or another group chosen. */
  const unchoose = (): void => {
    isAll.value = false;
    if (group !== '' && filter('group') === group) setFilters({ group: '' });
  };
  const isOpen = token.value !== null;
  const { answer } = polled;
  const items = answer?.items ?? [];
  return (
    <>
      {isOpen && items.length > 0 ? (
        <div class="filters">
          <label class="button">
            <input
              type="checkbox"
              checked={isAll.value}
              onChange={() => {
                isAll.value = !isAll.value;
              }}
            />{' '}
            All found
          </label>
          {isAll.value ? (
            <AllCommands selection={selection} items={isWhole ? items : null} done={unchoose} />
          ) : (
            <ChosenCommands items={items} chosen={chosen} />
          )}
        </div>
      ) : null}
      {answer === null ? (
        <Loading of={polled} />
      ) : (
        <RequestTable
          label="Durable requests"
          items={items}
          {...(isOpen ? { choice } : {})}
          empty={<NoRequests selection={selection} />}
        />
      )}
      {pager}
    </>
  );
}

const ALL_ACTS = ['retry', 'purge', 'cancel'] as const satisfies readonly Act[];

interface AllCommandsOf {
  readonly selection: Selection;
  /** All that it selects; `null`: more than one page. */
  readonly items: readonly StoredRequest[] | null;
  readonly done: () => void;
}

/** Commands for all that is found: each is off if none of it is in a state that allows it. */
function AllCommands({ selection, items, done }: AllCommandsOf): VNode {
  const { state = '' } = selection;
  const isAny = async (each: (typeof STATES)[number]): Promise<boolean> => {
    const asked = { ...selection, state: each };
    const page: Page<unknown> = await get(
      withSelection('/api/v1/titanic/requests', asked, { limit: '1' }),
    );
    // A page may be empty though more follow.
    return page.items.length > 0 || page.next !== null;
  };
  const statesFound = async (): Promise<ReadonlySet<string>> => {
    if (items !== null) return new Set(items.map((item) => item.state));
    if (state !== '') return new Set([state]);
    const found = await Promise.all(STATES.map(isAny));
    return new Set(STATES.filter((_, index) => found[index]));
  };
  const about = JSON.stringify(items?.map((item) => item.state) ?? null);
  const { answer } = usePolled(about, statesFound, FOUND_EVERY_MS);
  const isOff = (act: Act): boolean => {
    const usual = state === '' ? usualStates(act) : ACTS[act].states;
    return !usual.some((each) => answer?.has(each) === true);
  };
  return (
    <>
      {ALL_ACTS.map((act) => {
        const run = async (): Promise<void> => {
          const stored = storedIn(state === 'dead' || act === 'retry' ? 'dead' : '');
          if (await actOnAll(act, selection, stored)) done();
        };
        const isDisabled = isElsewhere() || isOff(act);
        return (
          <Button key={act} label={ACTS[act].verb} isCommand isDisabled={isDisabled} act={run} />
        );
      })}
    </>
  );
}

interface ChosenCommandsOf {
  /** The requests that are shown. */
  readonly items: readonly StoredRequest[];
  readonly chosen: Signal<ReadonlyMap<string, StoredRequest>>;
}

function ChosenCommands({ items, chosen }: ChosenCommandsOf): VNode {
  // What is shown may be in another state than when it was chosen.
  const shown = new Map(items.map((item) => [item.uuid, item]));
  const now = [...chosen.value.values()].map((item) => shown.get(item.uuid) ?? item);
  return (
    <>
      {ALL_ACTS.map((act) => {
        const { verb } = ACTS[act];
        const fit = now.filter(({ state }) => isAllowed(act, state));
        const label = fit.length === 0 ? verb : `${verb} ${count(fit.length)}`;
        const run = async (): Promise<void> => {
          if (await actOnEach(act, fit)) chosen.value = new Map();
        };
        const isDisabled = isElsewhere() || fit.length === 0;
        return <Button key={act} label={label} isCommand isDisabled={isDisabled} act={run} />;
      })}
    </>
  );
}

function NoRequests({ selection }: { selection: Selection }): VNode {
  const stored = overview.value?.stored ?? null;
  const all = stored === null ? 0 : STATES.reduce((sum, state) => sum + stored[state], 0);
  const isFiltered = Object.keys(selection).length > 0;
  if (isFiltered && all > 0) {
    return (
      <Empty title="No requests">
        {`None of the ${count(all)} durable requests matches the filters. `}
        <a href={linkTo('durable')}>Show all</a>
      </Empty>
    );
  }
  return (
    <Empty title="No requests">
      Nothing is stored now. A client stores requests with <code>client.submit</code> or{' '}
      <code>majordomo request --durable</code>.
    </Empty>
  );
}

const KINDS = [
  ['', 'Any kind'],
  ['request', 'requests'],
  ['webhook', 'webhooks'],
] as const;

/** The fields of the filter; each is in the address by its name. */
const FIELDS = [
  ['of', 'Group'],
  ['reason', 'Reason has'],
  ['code', 'Code'],
  ['header', 'Header, key=value'],
  ['uuid', 'UUID begins with'],
  ['uuidEnd', 'UUID ends with'],
  ['since', 'Since: 1h, 2026-11-26T17:00Z'],
  ['before', 'Before: 7d, 2026-11-26'],
  ['diedSince', 'Dead from: 1h'],
  ['diedBefore', 'Dead until: 7d'],
] as const;

function Filters(): VNode {
  const form = useRef<HTMLFormElement>(null);
  const names = ['service', ...FIELDS.map(([name]) => name)];
  const given = names.map(filter);
  const inputs = (): HTMLInputElement[] => [...(form.current?.querySelectorAll('input') ?? [])];
  useEffect(() => {
    for (const input of inputs()) {
      const value = filter(input.name);
      // What someone types in another field stays.
      if (input.defaultValue === value) continue;
      input.defaultValue = value;
      input.value = value;
    }
  }, [JSON.stringify(given)]);
  const apply = (): void => {
    const typed = Object.fromEntries(inputs().map(({ name, value }) => [name, value.trim()]));
    const { service = '' } = typed;
    if (UUID.test(service)) location.hash = linkTo('durable', service.toUpperCase());
    // The group is one of those that the other filters find.
    else if (names.some((name) => typed[name] !== filter(name))) {
      setFilters({ ...typed, group: '' });
    }
  };
  const isUnfolded = useSignal(false);
  const active = [...names, 'state', 'kind'].filter((name) => filter(name) !== '').length;
  return (
    <>
      <button
        type="button"
        class="button unfold"
        aria-expanded={isUnfolded.value}
        aria-controls="filters"
        data-unfold
        onClick={() => (isUnfolded.value = !isUnfolded.value)}
      >
        {active === 0 ? 'Filters' : `Filters (${active})`}
      </button>
      <form
        ref={form}
        id="filters"
        class={isUnfolded.value ? 'filters' : 'filters folded'}
        role="search"
        onChange={apply}
        onSubmit={(event) => {
          event.preventDefault();
          apply();
        }}
      >
        <input
          type="search"
          name="service"
          placeholder="UUID, service, PREFIX*, *PART*"
          aria-label="Find by UUID or service"
          data-search
          spellcheck={false}
        />
        <FilterChoice name="state" label="State" options={STATE_OPTIONS} />
        <FilterChoice name="kind" label="Kind" options={KINDS} />
        {FIELDS.map(([name, label]) => (
          <input key={name} name={name} placeholder={label} aria-label={label} spellcheck={false} />
        ))}
        <button type="submit" class="button">
          Search
        </button>
      </form>
    </>
  );
}
