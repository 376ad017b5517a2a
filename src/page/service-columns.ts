/** The columns of tables of services. */
import type { ServiceFigures } from '../http/api/node-answers.js';
import type { Column } from './data-table.js';
import { text } from './dom.js';
import { compact, count, millis, perSecond } from './format.js';
import type { Listed } from './service-list.js';
import { serviceLink } from './status-line.js';
import { isUnserved } from './unserved.js';

export function repliedRate(figures: ServiceFigures | null): string {
  return figures === null ? compact(null) : `${compact(figures.repliedPerSecond)}/s`;
}

function number(
  head: string,
  by: (service: Listed) => number,
  shown: (service: Listed) => string,
  isMinor = false,
): Column<Listed> {
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

export const SERVICE: Column<Listed> = {
  head: 'Service',
  make: ({ service }) => serviceLink(service),
  by: ({ service }) => service,
};
export const WAITING: Column<Listed> = number(
  'Idle',
  ({ workersWaiting }) => workersWaiting,
  ({ workersWaiting }) => count(workersWaiting),
  true,
);
/** Idle and busy workers, also on a phone. Marked if requests wait and there is no worker. */
export const WORKERS: Column<Listed> = {
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
export const BUSY: Column<Listed> = number(
  'Busy',
  ({ workersBusy }) => workersBusy,
  ({ workersBusy }) => count(workersBusy),
);
export const QUEUED: Column<Listed> = {
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
export const RATE: Column<Listed> = number(
  'Rate',
  ({ figures }) => figures?.repliedPerSecond ?? -1,
  ({ figures }) => repliedRate(figures),
);
export const P50: Column<Listed> = number(
  'p50',
  ({ figures }) => figures?.p50Ms ?? -1,
  ({ figures }) => millis(figures?.p50Ms ?? null),
  true,
);
export const P99: Column<Listed> = number(
  'p99',
  ({ figures }) => figures?.p99Ms ?? -1,
  ({ figures }) => millis(figures?.p99Ms ?? null),
);
/** Plain requests that failed. */
export const FAILURES: Column<Listed> = number(
  'Failures',
  ({ plain }) => plain?.failuresPerSecond ?? -1,
  ({ plain }) => perSecond(plain?.failuresPerSecond ?? null),
);
/** Failed attempts of stored requests. */
export const FAILED_ATTEMPTS: Column<Listed> = number(
  'Failed attempts',
  ({ durable }) => durable?.failedAttemptsPerSecond ?? -1,
  ({ durable }) => perSecond(durable?.failedAttemptsPerSecond ?? null),
  true,
);
export const PENDING: Column<Listed> = number(
  'Pending',
  ({ durable }) => durable?.pending ?? -1,
  ({ durable }) => count(durable?.pending ?? null),
  true,
);
export const DEAD: Column<Listed> = {
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
