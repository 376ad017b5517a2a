/** The map: keys, values, who set them, and when they expire. */
import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';

import type { MapEntry, Status } from '../../admin/api/node-answers.js';
import type { Page } from '../../admin/api/words.js';
import { get, token, withQuery } from '../api.js';
import { Card, Empty, FilterChoice, FilterText, Loading, NeedsToken } from '../controls.js';
import { about, bytes, count, line, NONE, plural } from '../format.js';
import { filter, linkTo } from '../address.js';
import { Breaking, Name } from '../names.js';
import { usePages } from '../paging.js';
import { usePolled } from '../poll.js';
import { type Column, numeric, Table } from '../table.js';

/** So much of each value is loaded and shown. */
const VALUE_BYTES = 200;
/** The node looks at every key for a search, so it is asked when nobody types any more. */
const TYPING_MS = 300;
const STATUS_EVERY_MS = 10_000;
const EVERY_MS = 5000;
/** Pages of a thousand keys that are put in order here. */
const PAGES_MAX = 2;

const MATCHES = [
  ['', 'Begins with'],
  ['substring', 'Has'],
] as const;

const COLUMNS: readonly Column<MapEntry>[] = [
  { head: 'Key', cell: ({ key }) => <Name name={key} /> },
  {
    head: 'Value',
    cell: ({ value: { encoding, data, bytes: size } }) => (
      <span class="reason">
        {`${encoding === 'utf8' ? line(data) : `base64 ${data}`}${size > VALUE_BYTES ? '…' : ''}`}
      </span>
    ),
  },
  numeric('Size', ({ value }) => value.bytes, bytes, { drop: 2 }),
  {
    head: 'Set by',
    cell: ({ writer }) => <Breaking text={writer === null ? NONE : line(writer)} />,
    drop: 3,
    isBelow: true,
  },
  {
    head: 'Expires in',
    cell: ({ ttlMs, expiresInMs }) =>
      ttlMs === null ? 'never' : `${about(expiresInMs)} of ${about(ttlMs)}`,
    isNumber: true,
    drop: 3,
    isBelow: true,
  },
  {
    head: 'Properties',
    cell: ({ properties }) => <Breaking text={line(properties.trim().split('\n').join(' · '))} />,
    drop: 1,
  },
];

export function MapView(): VNode {
  const wanted = useSettled(filter('key'));
  const match = filter('match');
  const polled = usePolled('map', () => get<Status>('/api/v1/status'), STATUS_EVERY_MS);
  const { answer, error } = polled;
  return (
    <Card
      title="Map"
      isView
      error={answer === null ? null : error}
      tools={
        <div class="filters" role="search">
          <FilterChoice name="match" label="How the key matches" options={MATCHES} />
          <FilterText name="key" label="Search keys" hint="/config/" />
        </div>
      }
    >
      {answer === null ? (
        <Loading of={polled} />
      ) : answer.map === null ? (
        <Empty title="No map">
          This node has no map. To have one, set <code>map.listen</code>, such as{' '}
          <code>map.listen: tcp://127.0.0.1:5570</code>, and start the node again.
        </Empty>
      ) : token.value !== null ? (
        <Entries key={`${match} ${wanted}`} wanted={wanted} match={match} />
      ) : (
        <Empty title="Token needed">
          <NeedsToken what="Keys and values of the map" />
        </Empty>
      )}
    </Card>
  );
}

/** Keys of the broker come last, and otherwise by name. */
function byKey(left: MapEntry, right: MapEntry): number {
  const [one = 0, other = 0] = [left, right].map(({ key }) => Number(key.startsWith('/mmi/')));
  if (one !== other) return one - other;
  return left.key < right.key ? -1 : 1;
}

interface Found {
  readonly items: readonly MapEntry[];
  readonly isWhole: boolean;
}

/** As many pages as can be put in order here. */
async function found(query: Record<string, string>): Promise<Found> {
  const items: MapEntry[] = [];
  let cursor: string | null = '';
  for (let pages = 0; pages < PAGES_MAX && cursor !== null; pages++) {
    const path: string = withQuery('/api/v1/map', { ...query, cursor, limit: '1000' });
    const page: Page<MapEntry> = await get(path);
    items.push(...page.items);
    cursor = page.next;
  }
  return { items: items.sort(byKey), isWhole: cursor === null };
}

/** All that is found, in order; or page by page, as the node has it. */
function Entries({ wanted, match }: { wanted: string; match: string }): VNode {
  // Keys are given as they are shown, so that a sign that begins no escape is meant itself.
  const key = wanted.replaceAll(/%(?![\da-f]{2})/gi, '%25');
  const query = { key, keyMatch: match, valueBytes: String(VALUE_BYTES) };
  const polled = usePolled(
    'keys',
    () => found(query),
    (now) => EVERY_MS * Math.max(1, Math.ceil((now?.items.length ?? 0) / 500)),
  );
  const { answer } = polled;
  if (answer === null) return <Loading of={polled} />;
  if (!answer.isWhole) return <Unordered query={query} wanted={wanted} />;
  const ofBroker = answer.items.filter(({ key: name }) => name.startsWith('/mmi/')).length;
  const said = ofBroker === 0 ? '' : `, ${count(ofBroker)} of them the broker’s`;
  return (
    <>
      <p class="quiet" role="status">{`${plural(answer.items.length, 'key')}${said}`}</p>
      <Table
        label="Map"
        columns={COLUMNS}
        items={answer.items}
        rowKey={(entry) => entry.key}
        isFixed
        pageRows={50}
        empty={<NoKeys wanted={wanted} isEnd />}
      />
    </>
  );
}

interface UnorderedOf {
  readonly query: Record<string, string>;
  readonly wanted: string;
}

/** More keys than can be put in order here. */
function Unordered({ query, wanted }: UnorderedOf): VNode {
  const { polled, pager } = usePages<MapEntry>(
    (page) => withQuery('/api/v1/map', { ...query, ...page }),
    [`more than ${count(PAGES_MAX * 1000)} keys, in no particular order`, 'Back', 'More'],
  );
  const { answer } = polled;
  if (answer === null) return <Loading of={polled} />;
  return (
    <>
      <Table
        label="Map"
        columns={COLUMNS}
        items={answer.items}
        rowKey={(entry) => entry.key}
        isFixed
        empty={<NoKeys wanted={wanted} isEnd={answer.next === null} />}
      />
      {pager}
    </>
  );
}

function NoKeys({ wanted, isEnd }: { wanted: string; isEnd: boolean }): VNode {
  if (!isEnd) return <Empty title="None so far">Press More to search the rest of the map.</Empty>;
  if (wanted === '') {
    return (
      <Empty title="No keys">
        Nothing is set yet. A program sets a key with <code>map.set(key, value)</code> of its{' '}
        <code>SharedMap</code>, a person with <code>majordomo map set KEY VALUE</code>.
      </Empty>
    );
  }
  return (
    <Empty title="No such key">
      {`No key of the map matches ${line(wanted)}. `}
      <a href={linkTo('map')}>Show all</a>
    </Empty>
  );
}

/** The value, once it has not changed for a moment. */
function useSettled(value: string): string {
  const settled = useSignal(value);
  useEffect(() => {
    const timer = setTimeout(() => {
      settled.value = value;
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return settled.value;
}
