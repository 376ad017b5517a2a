/** The data about this node for HTTP: from the broker's state, one bounded page at a time. */
import type { Broker } from '../broker/broker.js';
import { type ListPage, type Position, START } from '../broker/listing.js';
import { monotonicMs } from '../core/clock.js';
import { MajordomoError } from '../core/errors.js';
import type { Contracts, Status } from '../admin/api/node-answers.js';
import type { Page } from '../admin/api/words.js';
import type { NodeView } from '../admin/ports.js';
import type { OwnerCount } from '../store/store.js';
import type { ServiceStatus } from '../wire/mmi-answers.js';
import { clientLoads } from './client-loads.js';
import type { NodeHealth } from './health.js';

/**
 * @param status what `mmi.broker` reports, and the endpoints; `now` is monotonic milliseconds
 * @param owners what the store holds for each
 */
export function nodeView(
  broker: Broker,
  health: NodeHealth,
  status: (now: number) => Status,
  owners: () => Iterable<OwnerCount>,
): NodeView {
  const { listing } = broker;
  return {
    health: () => health.now,
    status: () => status(monotonicMs()),
    services: ({ cursor, limit, service, state }) =>
      shown(
        listing.servicePage(
          position(cursor),
          limit,
          service,
          (status) => state === null || isIn(state, status),
          monotonicMs(),
        ),
      ),
    contracts: (service) => {
      const json = listing.contracts(service);
      return json === null ? null : (JSON.parse(json.toString('utf8')) as Contracts);
    },
    workers: ({ cursor, limit, service, state }) =>
      shown(
        listing.workerPage(
          position(cursor),
          limit,
          service,
          (worker) => state === null || worker.state === state,
          monotonicMs(),
        ),
      ),
    clients: (query) => clientLoads(listing.clients(monotonicMs()), owners(), query),
  };
}

/** `unserved`: requests wait, plain or stored, and there is no worker. */
function isIn(
  state: string,
  { workersWaiting, workersBusy, queued, durable }: ServiceStatus,
): boolean {
  const isServed = workersWaiting + workersBusy > 0;
  if (state === 'served') return isServed;
  return !isServed && queued + (durable?.pending ?? 0) > 0;
}

const CURSOR = /^(\d{1,9})\.(\d{1,15})$/;

function position(cursor: string | null): Position {
  if (cursor === null) return START;
  const [, service, worker] = CURSOR.exec(cursor) ?? [];
  if (service !== undefined && worker !== undefined) {
    return { service: Number(service), worker: Number(worker) };
  }
  const parameter = { parameter: 'cursor' };
  throw new MajordomoError('ERR_HTTP_PARAMETER', 'cursor: not a cursor from a list', {
    details: parameter,
  });
}

function shown<Item>({ items, next }: ListPage<Item>): Page<Item> {
  return { items, next: next === null ? null : `${next.service}.${next.worker}` };
}
