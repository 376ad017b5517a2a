/** What tables of services show. */
import type { Column } from './data-table.js';
import { text } from './dom.js';
import { compact, count, millis } from './format.js';
import type { Listed } from './service-list.js';
import type { ServiceFigures } from './shapes.js';
import { serviceLink } from './status-line.js';

export function repliedRate(figures: ServiceFigures | null): string {
  return figures === null ? compact(null) : `${compact(figures.repliedPerSecond)}/s`;
}

/** Requests wait, and nobody takes them. */
export function isUnserved({ workersWaiting, workersBusy, queued }: Listed): boolean {
  return queued > 0 && workersWaiting + workersBusy === 0;
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
  'Waiting',
  ({ workersWaiting }) => workersWaiting,
  ({ workersWaiting }) => count(workersWaiting),
  true,
);
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
    text(cell, count(service.queued));
    cell.classList.toggle('bad', isUnserved(service));
    cell.title = isUnserved(service) ? 'nobody serves it' : '';
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
