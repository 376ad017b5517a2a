/** The columns of tables of services. */
import type { Service } from '../admin/api/node-answers.js';
import type { Column } from './data-table.js';
import { text } from './dom.js';
import { compact, count, millis, perSecond } from './format.js';
import { serviceLink } from './status-line.js';
import { isUnserved } from './unserved.js';

export function repliedRate(plain: Service['plain']): string {
  return plain === null ? compact(null) : `${compact(plain.repliesPerSecond)}/s`;
}

function number(
  head: string,
  by: (service: Service) => number,
  shown: (service: Service) => string,
  isMinor = false,
): Column<Service> {
  return {
    head,
    show: (service, cell) => {
      text(cell, shown(service));
    },
    by,
    isNumber: true,
    isLargeFirst: true,
    isMinor,
  };
}

export const SERVICE: Column<Service> = {
  head: 'Service',
  make: ({ service }) => serviceLink(service),
  by: ({ service }) => service,
};
export const WAITING: Column<Service> = number(
  'Idle',
  ({ workersWaiting }) => workersWaiting,
  ({ workersWaiting }) => count(workersWaiting),
  true,
);
/** Idle and busy workers, also on a phone. Marked if requests wait and there is no worker. */
export const WORKERS: Column<Service> = {
  ...number(
    'Workers',
    ({ workersWaiting, workersBusy }) => workersWaiting + workersBusy,
    () => '',
  ),
  show: (service, cell) => {
    text(cell, count(service.workersWaiting + service.workersBusy));
    cell.classList.toggle('bad', isUnserved(service));
    cell.title = isUnserved(service) ? 'no worker serves it' : '';
  },
};
export const BUSY: Column<Service> = number(
  'Busy',
  ({ workersBusy }) => workersBusy,
  ({ workersBusy }) => count(workersBusy),
);
export const QUEUED: Column<Service> = {
  ...number(
    'Queued',
    ({ queued }) => queued,
    () => '',
  ),
  show: (service, cell) => {
    const isStuck = service.queued > 0 && isUnserved(service);
    text(cell, count(service.queued));
    cell.classList.toggle('bad', isStuck);
    cell.title = isStuck ? 'no worker serves it' : '';
  },
};
export const RATE: Column<Service> = number(
  'Rate',
  ({ plain }) => plain?.repliesPerSecond ?? -1,
  ({ plain }) => repliedRate(plain),
);
export const P50: Column<Service> = number(
  'p50',
  ({ plain }) => plain?.p50Ms ?? -1,
  ({ plain }) => millis(plain?.p50Ms ?? null),
  true,
);
export const P99: Column<Service> = number(
  'p99',
  ({ plain }) => plain?.p99Ms ?? -1,
  ({ plain }) => millis(plain?.p99Ms ?? null),
);
/** Plain requests that failed. */
export const FAILURES: Column<Service> = number(
  'Failures',
  ({ plain }) => plain?.failuresPerSecond ?? -1,
  ({ plain }) => perSecond(plain?.failuresPerSecond ?? null),
);
/** Failed attempts of stored requests. */
export const FAILED_ATTEMPTS: Column<Service> = number(
  'Failed attempts',
  ({ durable }) => durable?.failedAttemptsPerSecond ?? -1,
  ({ durable }) => perSecond(durable?.failedAttemptsPerSecond ?? null),
  true,
);
export const PENDING: Column<Service> = number(
  'Pending',
  ({ durable }) => durable?.pending ?? -1,
  ({ durable }) => count(durable?.pending ?? null),
  true,
);
export const DEAD: Column<Service> = {
  ...number(
    'Dead',
    ({ durable }) => durable?.dead ?? -1,
    () => '',
  ),
  show: ({ durable }, cell) => {
    text(cell, count(durable?.dead ?? null));
    cell.classList.toggle('bad', (durable?.dead ?? 0) > 0);
  },
};
