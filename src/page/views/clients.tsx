/** Who uses most of the node: keys, tokens and addresses, the busiest first. */
import type { VNode } from 'preact';

import type { ClientLoad, Clients } from '../../admin/api/node-answers.js';
import { get, token, withQuery } from '../api.js';
import { Card, Empty, FilterChoice, Loading, NeedsToken } from '../controls.js';
import { bytes, count, line, NONE, perSecond } from '../format.js';
import { filter } from '../address.js';
import { Breaking, WorkerLink } from '../names.js';
import { usePolled } from '../poll.js';
import { type Column, numeric, Table } from '../table.js';

const EVERY_MS = 2000;
const PAGE_ROWS = 50;

const ORDERS = [
  ['', 'Most requests/s'],
  ['outstanding', 'Most outstanding'],
  ['stored', 'Most stored bytes'],
  ['held', 'Most memory'],
] as const;

/** Who it is: a key, a token or an address. */
export function ClientName({ kind, name }: ClientLoad): VNode {
  return (
    <>
      <Breaking text={name === null ? 'without a key' : line(name)} />
      {kind === 'key' || kind === 'token' ? <span class="quiet">{` ${kind}`}</span> : null}
    </>
  );
}

const COLUMNS: readonly Column<ClientLoad>[] = [
  {
    head: 'Client',
    cell: (client) => <ClientName {...client} />,
    by: ({ name }) => name ?? '',
  },
  numeric('Requests', ({ requestsPerSecond }) => requestsPerSecond, perSecond),
  numeric('Refused', ({ refusedPerSecond }) => refusedPerSecond, perSecond, {
    drop: 3,
    alarm: ({ refusedPerSecond }) => (refusedPerSecond > 0 ? 'requests are refused now' : null),
  }),
  numeric('Outstanding', ({ outstanding }) => outstanding),
  {
    head: 'At workers',
    cell: ({ heldBy }) =>
      heldBy.length === 0
        ? NONE
        : heldBy.map(({ worker, workerName }) => (
            <span key={worker}>
              <WorkerLink worker={worker} name={workerName} />{' '}
            </span>
          )),
    drop: 2,
    isBelow: true,
  },
  numeric('Durable', ({ stored }) => stored, count, { drop: 2 }),
  numeric('Stored', ({ storedBytes }) => storedBytes, bytes),
  numeric('Memory', ({ heldBytes }) => heldBytes, bytes, { drop: 3 }),
  numeric('Connections', ({ connections }) => connections, count, { drop: 2 }),
  numeric('Workers', ({ workers }) => workers, count, { drop: 1 }),
  { head: 'Quota', cell: ({ quota }) => <Breaking text={line(quota ?? 'default')} />, drop: 1 },
];

export function ClientsView(): VNode {
  return token.value !== null ? (
    <Busiest by={filter('by')} />
  ) : (
    <Card title="Clients" isView>
      <Empty title="Token needed">
        <NeedsToken what="Names and addresses of clients" />
      </Empty>
    </Card>
  );
}

function Busiest({ by }: { by: string }): VNode {
  const polled = usePolled(by, () => get<Clients>(withQuery('/api/v1/clients', { by })), EVERY_MS);
  const { answer, error } = polled;
  const items = answer?.items ?? [];
  const of = answer === null || answer.total === items.length ? '' : ` of ${count(answer.total)}`;
  return (
    <Card
      title="Clients"
      isView
      status={answer === null ? '' : `${count(items.length)}${of}; rates of the last 4 to 8 s`}
      error={answer === null ? null : error}
      tools={<FilterChoice name="by" label="Which clients come first" options={ORDERS} />}
    >
      {answer === null ? (
        <Loading of={polled} />
      ) : (
        <Table
          // Another order starts at its first page, and is not sorted by a column.
          key={by}
          label="Clients"
          columns={COLUMNS}
          items={items}
          rowKey={({ kind, name }) => `${kind} ${name ?? ''}`}
          pageRows={PAGE_ROWS}
          empty={
            <Empty title="No clients">Nobody is connected, and no durable request is stored.</Empty>
          }
        />
      )}
    </Card>
  );
}
