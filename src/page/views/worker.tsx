/** A worker: what it serves, what it holds and since when, and its failures. */
import type { VNode } from 'preact';

import type { ClientLoad, Clients, ServiceHistory, Worker } from '../../admin/api/node-answers.js';
import type { StoredRequest } from '../../admin/api/stored-answers.js';
import type { Page } from '../../admin/api/words.js';
import { get, token, withQuery } from '../api.js';
import { linkTo } from '../address.js';
import { Card, Empty, Facts, Loading, NeedsToken } from '../controls.js';
import { count, moment, NONE, span } from '../format.js';
import { Breaking, Name, ServiceLink, StatePill, WorkerLink } from '../names.js';
import { usePolled } from '../poll.js';
import { RequestTable } from '../requests.js';
import { type Column, numeric, Table } from '../table.js';
import { ClientName } from './clients.js';

const EVERY_MS = 2000;
const ASKED = '1000';
const PAGES_MAX = 10;

interface Loaded {
  /** Absent: it has left. */
  readonly worker: Worker | undefined;
  /** Workers of the same name and address: usually the same program, which registers once for each service. */
  readonly others: readonly Worker[];
  readonly held: readonly StoredRequest[];
  readonly failure: ServiceHistory['failuresByWorker'][number] | undefined;
  /** Whose plain requests it has; `null`: that needs a token. */
  readonly clients: readonly ClientLoad[] | null;
}

async function allWorkers(): Promise<readonly Worker[]> {
  const all: Worker[] = [];
  let cursor: string | null = '';
  for (let page = 0; page < PAGES_MAX && cursor !== null; page++) {
    const path: string = withQuery('/api/v1/workers', { limit: ASKED, cursor });
    const answer: Page<Worker> = await get(path);
    all.push(...answer.items);
    cursor = answer.next;
  }
  return all;
}

async function loaded(number: string): Promise<Loaded> {
  const workers = await allWorkers();
  const worker = workers.find((each) => String(each.number) === number);
  if (worker === undefined) {
    return { worker, others: [], held: [], failure: undefined, clients: null };
  }
  const { service, name, address } = worker;
  const query = { service, state: 'dispatched', limit: ASKED };
  const [stored, history, clients] = await Promise.all([
    // Without a store there is nothing durable to hold.
    get<Page<StoredRequest>>(withQuery('/api/v1/titanic/requests', query)).catch(() => null),
    get<ServiceHistory>(withQuery('/api/v1/services/history', { service })),
    token.peek() === null
      ? null
      : get<Clients>(withQuery('/api/v1/clients', { by: 'outstanding', limit: ASKED })),
  ]);
  return {
    worker,
    others: workers.filter(
      (each) => each !== worker && name !== null && each.name === name && each.address === address,
    ),
    held: (stored?.items ?? []).filter(({ delivery }) => delivery?.worker === number),
    failure: history.failuresByWorker.find((each) => each.worker === number),
    clients:
      clients?.items.filter(({ heldBy }) => heldBy.some((each) => each.worker === number)) ?? null,
  };
}

const OTHERS: readonly Column<Worker>[] = [
  {
    head: 'Worker',
    cell: ({ number, name }) => <WorkerLink worker={String(number)} name={name} />,
  },
  { head: 'Service', cell: ({ service }) => <ServiceLink service={service} /> },
  { head: 'State', cell: ({ state }) => <StatePill state={state} /> },
  numeric('In flight', ({ inFlight }) => inFlight),
];

export function WorkerView({ number }: { number: string }): VNode {
  const polled = usePolled(`worker ${number}`, () => loaded(number), EVERY_MS);
  const { answer, error } = polled;
  const worker = answer?.worker;
  return (
    <div class="stack">
      <Card
        title={
          <>
            {'Worker '}
            <Name name={worker?.name ?? number} />
          </>
        }
        isView
        error={answer === null ? null : error}
      >
        {answer === null ? (
          <Loading of={polled} />
        ) : worker === undefined ? (
          <Empty title="No such worker">
            It has left. Each registration has a number of its own.{' '}
            <a href={linkTo('services')}>Services</a>
          </Empty>
        ) : (
          <Facts rows={factsOf(worker, answer)} />
        )}
      </Card>
      {answer === null || worker === undefined ? null : (
        <>
          {answer.others.length === 0 ? null : (
            <Card title="Other services of the same name and address">
              <Table
                label="Other services"
                columns={OTHERS}
                items={answer.others}
                rowKey={({ number: each }) => String(each)}
                isFixed
                empty={null}
              />
            </Card>
          )}
          <Card title="Durable requests that it holds">
            <RequestTable
              label="Held"
              items={answer.held}
              empty={<Empty title="None">It has no durable request now.</Empty>}
            />
          </Card>
        </>
      )}
    </div>
  );
}

function factsOf(
  worker: Worker,
  { failure, clients }: Loaded,
): Parameters<typeof Facts>[0]['rows'] {
  const { number, service, state, inFlight, credit, sinceMs, version, key, address } = worker;
  const failed =
    failure === undefined
      ? 'none that the node remembers'
      : `${count(failure.count)}, the last at ${moment(failure.lastAt)}`;
  return [
    ['Number', String(number)],
    ['Service', <ServiceLink key="service" service={service} />],
    ['State', <StatePill key="state" state={state} />],
    ['Requests that it holds', `${count(inFlight)}, and room for ${count(credit)}`],
    ['Of clients', <Of key="clients" clients={clients} />],
    ['Registered for', span(sinceMs)],
    ['Failures', failed],
    ['Protocol', version],
    ['Key', <Breaking key="key" text={key ?? NONE} />],
    ['Address', <Breaking key="address" text={address ?? NONE} />],
  ];
}

/** Whose requests it has, as links to who uses what. */
function Of({ clients }: Pick<Loaded, 'clients'>): VNode {
  if (clients === null) return <NeedsToken what="Names and addresses of clients" />;
  if (clients.length === 0) return <>{NONE}</>;
  return (
    <>
      {clients.map((client) => (
        <a
          key={`${client.kind} ${client.name}`}
          href={linkTo('clients', undefined, { by: 'outstanding' })}
        >
          <ClientName {...client} />{' '}
        </a>
      ))}
    </>
  );
}
