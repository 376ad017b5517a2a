/** All services of the node: which of them need a person, and the columns of their tables. */
import type { Service } from '../admin/api/node-answers.js';
import type { Page } from '../admin/api/words.js';
import { get } from './api.js';
import { about, count, millis, percent, perSecond } from './format.js';
import { linkTo } from './links.js';
import { ServiceLink, StatePill } from './names.js';
import { type Column, numeric } from './table.js';

/** Items in one answer of the API. */
const ASKED = 1000;
/** Enough for all services of a node whose limits were not raised. */
const PAGES_MAX = 10;
const EVERY_MS = 2000;
/** A service that failed is listed first for so long. */
const FAILED_MS = 60_000;
/** Requests that have waited for longer than this may need a person. */
const LONG_MS = 10_000;

/** Loads all pages of the list. */
export async function allServices(): Promise<readonly Service[]> {
  const all: Service[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < PAGES_MAX; page++) {
    const after: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const answer: Page<Service> = await get(`/api/v1/services?limit=${ASKED}${after}`);
    all.push(...answer.items);
    cursor = answer.next;
    if (cursor === null) break;
  }
  return all;
}

/** Longer if there are many services, so that they do not cost the node more. */
export function servicesDelayMs(services: readonly Service[] | null): number {
  return EVERY_MS * Math.max(1, Math.ceil((services?.length ?? 0) / 500));
}

/** The requests that a worker could take, plain or stored and due, if none takes them; else 0. */
export function stuckOf({ workersWaiting, queued, durable }: Service): number {
  const due = durable === null ? 0 : durable.pending - (durable.delayed ?? 0);
  return workersWaiting === 0 ? queued + due : 0;
}

/** True if requests wait, and the service has no worker. */
export function isUnserved(service: Service): boolean {
  return service.workersBusy === 0 && stuckOf(service) > 0;
}

/** True if requests have waited for long, and all workers are busy. */
export function isLate(service: Service): boolean {
  return service.workersBusy > 0 && stuckOf(service) > 0 && (oldestOf(service) ?? 0) > LONG_MS;
}

/** Failures of plain requests, and failed attempts of stored ones, per second. */
function failuresOf({ plain, durable }: Service): number | null {
  if (plain === null && durable === null) return null;
  return (plain?.failuresPerSecond ?? 0) + (durable?.failedAttemptsPerSecond ?? 0);
}

function repliesOf({ plain, durable }: Service): number {
  return (plain?.repliesPerSecond ?? 0) + (durable?.repliesPerSecond ?? 0);
}

/** How long the oldest request has waited, plain or stored; `null`: none waits. */
export function oldestOf({ oldestQueuedMs, durable }: Service): number | null {
  const stored = durable?.oldestMs ?? null;
  return oldestQueuedMs === null ? stored : Math.max(oldestQueuedMs, stored ?? 0);
}

/** `null`: nothing ended in the last seconds. */
function failedShare(service: Service): number | null {
  const failures = failuresOf(service) ?? 0;
  const ended = failures + repliesOf(service);
  return ended === 0 ? null : failures / ended;
}

/** When services failed last, in milliseconds since 1970, as this page has seen it. */
const failedAt = new Map<string, number>();

/** Failing ones first, then those with dead, unserved and old requests, then the fastest. */
export function byNeed(services: readonly Service[]): readonly Service[] {
  const now = Date.now();
  const keyed = services.map((service) => {
    const failures = failuresOf(service) ?? 0;
    if (failures > 0) failedAt.set(service.service, now);
    const hasFailed = (failedAt.get(service.service) ?? -Infinity) + FAILED_MS > now;
    const oldest = oldestOf(service) ?? 0;
    const needs = [
      Number(hasFailed),
      failures,
      service.durable?.dead ?? 0,
      Number(isUnserved(service)),
      oldest > LONG_MS ? oldest : 0,
      repliesOf(service),
    ];
    return { service, needs };
  });
  keyed.sort((left, right) => {
    const at = left.needs.findIndex((need, index) => need !== right.needs[index]);
    return at < 0 ? 0 : (right.needs[at] ?? 0) - (left.needs[at] ?? 0);
  });
  return keyed.map(({ service }) => service);
}

const NO_WORKER = 'no worker serves it';

type Asked<Answer> = (service: Service) => Answer;

function ifAny(by: Asked<number | null>, why: string): Asked<string | null> {
  return (service) => ((by(service) ?? 0) > 0 ? why : null);
}

const dead = ({ durable }: Service): number | null => durable?.dead ?? null;

export const COLUMNS = {
  service: {
    head: 'Service',
    cell: ({ service, paused }) => (
      <>
        <ServiceLink service={service} />
        {paused ? <StatePill state="paused" /> : null}
      </>
    ),
    by: ({ service }) => service,
  },
  workers: numeric(
    'Workers',
    ({ workersWaiting, workersBusy }) => workersWaiting + workersBusy,
    count,
    {
      alarm: (service) =>
        isUnserved(service) ? NO_WORKER : isLate(service) ? 'all workers are busy' : null,
    },
  ),
  idle: numeric('Idle', ({ workersWaiting }) => workersWaiting, count, { drop: 1 }),
  busy: numeric('Busy', ({ workersBusy }) => workersBusy, count, { drop: 2 }),
  queued: numeric('Queued', ({ queued }) => queued, count, {
    drop: 3,
    alarm: (service) => (service.queued > 0 && isUnserved(service) ? NO_WORKER : null),
  }),
  failures: numeric('Failures/s', failuresOf, (value) => (value === 0 ? '0' : perSecond(value)), {
    alarm: ifAny(failuresOf, 'requests fail now'),
  }),
  share: numeric('Failed', failedShare, percent, { drop: 3 }),
  dead: {
    ...numeric('Dead', dead, count, { alarm: ifAny(dead, 'failed for good') }),
    cell: (service) =>
      (dead(service) ?? 0) > 0 ? (
        <a href={linkTo('durable', undefined, { service: service.service, state: 'dead' })}>
          {count(dead(service))}
        </a>
      ) : (
        count(dead(service))
      ),
  },
  oldest: numeric('Oldest waiting', oldestOf, about, { drop: 3 }),
  rate: numeric(
    'Replies',
    (service) => (service.plain === null && service.durable === null ? null : repliesOf(service)),
    perSecond,
    { drop: 3 },
  ),
  p50: numeric('p50', ({ plain }) => plain?.p50Ms ?? null, millis, { drop: 1 }),
  p99: numeric('p99', ({ plain }) => plain?.p99Ms ?? null, millis, { drop: 2 }),
  pending: numeric('Pending', ({ durable }) => durable?.pending ?? null, count, { drop: 1 }),
} satisfies Readonly<Record<string, Column<Service>>>;
