/** Tables of stored requests, and the retry of dead ones. More than one view has them. */
import type { ComponentChildren, VNode } from 'preact';

import type { BulkResult, StoredRequest } from '../admin/api/stored-answers.js';
import { askPerson, askToken, order, toast } from './dialogs.js';
import { about, bytes, count, line, moment, since } from './format.js';
import { linkTo } from './links.js';
import { Name, ServiceLink, StatePill, UUID, UuidLink } from './names.js';
import { type Column, numeric, Table } from './table.js';

export const STATES = ['pending', 'dispatched', 'replied', 'dead'] as const;

interface StateCountsOf {
  readonly of: string;
  readonly counts: Readonly<Record<(typeof STATES)[number], number>>;
  readonly service?: string;
}

/** How many requests are in each state, as links to them. */
export function StateCounts({ of, counts, service = '' }: StateCountsOf): VNode {
  return (
    <p class="stored-of">
      {`${of}: `}
      {STATES.map((state) => (
        <a key={state} href={linkTo('durable', undefined, { service, state })} class="count">
          {`${count(counts[state])} ${state}`}
        </a>
      ))}
    </p>
  );
}

const ID: Column<StoredRequest> = {
  head: 'UUID',
  cell: ({ uuid }) => (UUID.test(uuid) ? <UuidLink uuid={uuid} /> : <LockedUuid uuid={uuid} />),
};
const SERVICE: Column<StoredRequest> = {
  head: 'Service',
  cell: ({ service }) => <ServiceLink service={service} />,
};
const STATE: Column<StoredRequest> = {
  head: 'State',
  cell: ({ state }) => <StatePill state={state} />,
};
const REST: readonly Column<StoredRequest>[] = [
  { head: 'Reason', cell: ({ reason }) => <span class="reason">{line(reason ?? '')}</span> },
  {
    head: 'Failed attempts',
    cell: ({ attempts, maxAttempts }) => `${attempts} of ${maxAttempts}`,
    isNumber: true,
    drop: 2,
  },
  {
    head: 'Age',
    cell: ({ acceptedAt }) => <span title={moment(acceptedAt)}>{about(since(acceptedAt))}</span>,
    isNumber: true,
    drop: 3,
  },
  numeric('Body', ({ bodyBytes }) => bodyBytes, bytes, { drop: 1 }),
];

/** A whole uuid is the credential for the reply, so the history needs the token. */
function LockedUuid({ uuid }: { uuid: string }): VNode {
  return (
    <button
      type="button"
      class="uuid locked"
      title="The history of this request needs a token of this node"
      onClick={() => void askToken('Full UUIDs and request histories need a token of this node.')}
    >
      {uuid}
    </button>
  );
}

interface RequestTableOf {
  readonly label: string;
  readonly items: readonly StoredRequest[];
  /** All are of one service and in one state. */
  readonly isOfOne?: boolean;
  readonly empty: ComponentChildren;
}

export function RequestTable({ label, items, isOfOne, empty }: RequestTableOf): VNode {
  const columns = isOfOne === true ? [ID, ...REST] : [ID, SERVICE, STATE, ...REST];
  // Without a token, two requests may show the same half of their uuids.
  const key = ({ uuid }: StoredRequest, index: number): string =>
    UUID.test(uuid) ? uuid : `${uuid} ${index}`;
  return <Table label={label} columns={columns} items={items} rowKey={key} isFixed empty={empty} />;
}

/**
 * Retries all dead requests of one service after a confirmation, in as many calls as it takes.
 * @param age which of them, in words; `null`: all
 */
export async function retryDead(
  service: string,
  older: { readonly olderThanMs?: number } = {},
  age: string | null = null,
): Promise<void> {
  const isSure = await askPerson({
    title: 'Retry all dead requests?',
    body: (
      <p>
        Every dead request of <Name name={service} />
        {age === null ? '' : `, ${age},`} becomes pending again, with its attempt count reset.
      </p>
    ),
    confirm: 'Retry all',
  });
  if (!isSure) return;
  let done = 0;
  for (;;) {
    const result = await order<BulkResult>('/api/v1/titanic/retry', { service, ...older });
    if (result === null) return;
    done += result.count;
    if (!result.more || result.count === 0) break;
    toast(`${count(done)} so far`, 'good');
  }
  toast(
    done === 1 ? '1 request is pending again' : `${count(done)} requests are pending again`,
    'good',
  );
}
