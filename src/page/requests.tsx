/** Tables of stored requests. More than one view has them. */
import type { ComponentChildren, VNode } from 'preact';

import type { StoredRequest } from '../admin/api/stored-answers.js';
import { askToken } from './dialogs.js';
import { about, bytes, count, line, moment } from './format.js';
import { linkTo } from './address.js';
import { ServiceLink, StatePill, UUID, UuidLink, WorkerLink } from './names.js';
import { ageOf, nowMs } from './node.js';
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
  cell: (item) => <RequestState {...item} />,
};

/** What a pending request waits for: its time, its next attempt, or a worker. */
export function phaseOf({ notBefore, attempts }: StoredRequest): string {
  if (Date.parse(notBefore) <= nowMs()) return 'waiting';
  return attempts > 0 ? 'retrying' : 'delayed';
}

/** The state of a request, and of a pending one what it waits for. */
export function RequestState(request: StoredRequest): VNode {
  const { state, notBefore, delivery } = request;
  const phase = state === 'pending' ? phaseOf(request) : null;
  return (
    <>
      <StatePill state={state} />
      {delivery === null ? null : (
        <span class="phase">
          {' at '}
          <WorkerLink worker={delivery.worker} name={delivery.workerName} />
          {` for ${about(ageOf(delivery.startedAt))}`}
        </span>
      )}
      {phase === null ? null : (
        <span class="phase" title={phase === 'waiting' ? undefined : `until ${moment(notBefore)}`}>
          {` ${phase}`}
        </span>
      )}
    </>
  );
}
const REST: readonly Column<StoredRequest>[] = [
  { head: 'Group', cell: ({ group }) => group, drop: 3, isBelow: true },
  {
    head: 'Reason',
    cell: ({ reason, reasonAt }) => (
      <span class="reason" title={reasonAt === null ? undefined : moment(reasonAt)}>
        {line(reason ?? '')}
      </span>
    ),
    drop: 3,
    isBelow: true,
  },
  {
    head: 'Failed attempts',
    cell: ({ attempts, maxAttempts }) => `${attempts} of ${maxAttempts}`,
    isNumber: true,
    drop: 2,
    isBelow: true,
  },
  {
    head: 'Age',
    cell: ({ acceptedAt }) => <span title={moment(acceptedAt)}>{about(ageOf(acceptedAt))}</span>,
    isNumber: true,
    drop: 3,
    isBelow: true,
  },
  numeric('Stored', ({ bodyBytes }) => bodyBytes, bytes, {
    drop: 1,
    about: 'the body on disk: each frame, with its length',
  }),
];

/** A whole uuid is the credential for the reply, so the history needs a token. */
function LockedUuid({ uuid }: { uuid: string }): VNode {
  return (
    <button
      type="button"
      class="uuid locked"
      title="The history of this request needs a token"
      onClick={() => void askToken('Full UUIDs and request histories need a token.')}
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
  /** A column with the choice of rows. */
  readonly choice?: Column<StoredRequest>;
  readonly empty: ComponentChildren;
}

export function RequestTable({ label, items, isOfOne, choice, empty }: RequestTableOf): VNode {
  const first = choice === undefined ? [ID] : [choice, ID];
  // The first is that of groups.
  const rest = REST.slice(items.some(({ group }) => group !== null) ? 0 : 1);
  const columns = [...first, ...(isOfOne === true ? [] : [SERVICE, STATE]), ...rest];
  // Without a token, two requests may show the same half of their uuids.
  const key = ({ uuid }: StoredRequest, index: number): string =>
    UUID.test(uuid) ? uuid : `${uuid} ${index}`;
  return <Table label={label} columns={columns} items={items} rowKey={key} isFixed empty={empty} />;
}
