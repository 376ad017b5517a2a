/** All services of the node, and the columns of their tables. */
import type { Service } from '../admin/api/node-answers.js';
import type { Page } from '../admin/api/words.js';
import {
  failuresOf,
  isLate,
  isUnserved,
  oldestOf,
  repliesOf,
  waitingOf,
} from '../core/service-needs.js';
import { commands, get, token } from './api.js';
import { about, count, millis, percent, perSecond, plural } from './format.js';
import { linkTo } from './address.js';
import { ServiceLink, StatePill } from './names.js';
import { type Column, numeric } from './table.js';

/** Items in one answer of the API. */
const ASKED = 1000;
/** Enough for all services of a node whose limits were not raised. */
const PAGES_MAX = 10;
const EVERY_MS = 2000;
/** Failures that are older tell nothing about a service now. */
const FAILED_MS_MAX = 300_000;

/** A list that is being loaded, and for what it is asked. */
let loading: { readonly about: string; readonly list: Promise<readonly Service[]> } | null = null;

/** Loads all pages of the list. The banner and a view that ask for it at the same time load it once. */
export function allServices(): Promise<readonly Service[]> {
  // What was asked for before a command, or with another token, shows less.
  const about = `${commands.peek()} ${token.peek() ?? ''}`;
  if (loading?.about === about) return loading.list;
  const list = loadAll().finally(() => {
    if (loading?.list === list) loading = null;
  });
  loading = { about, list };
  return list;
}

async function loadAll(): Promise<readonly Service[]> {
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

/** `null`: nothing ended in the last seconds. */
function failedShare(service: Service): number | null {
  const failures = failuresOf(service) ?? 0;
  const ended = failures + (repliesOf(service) ?? 0);
  return ended === 0 ? null : failures / ended;
}

/** What figures are of, for tooltips. */
export const P50 = 'of the plain requests answered in the last 4 to 8 s';
export const P99 = `${P50}, if they are at least 100; else only the longest is told`;
export const LONGEST = `the longest time, ${P50}; as exact as the buckets of the metrics`;
/** A service that answers nothing now, and whose last failure says something about it. */
export function mayFailAlways(service: Service): boolean {
  return (repliesOf(service) ?? 0) === 0 && (service.failedMsAgo ?? Infinity) < FAILED_MS_MAX;
}

export const WAITING = 'requests that wait for a worker, plain ones and durable ones that are due';

/** How many requests wait, and how many are not due yet. */
export function waitingWords(service: Pick<Service, 'queued' | 'durable'>): string {
  const delayed = service.durable?.delayed ?? 0;
  const waits = `${plural(waitingOf(service), 'request')} waiting`;
  return delayed === 0 ? waits : `${waits}, ${count(delayed)} to run later`;
}

const NO_WORKER = 'no worker';

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
        <ServiceLink service={service} /> {paused ? <StatePill state="paused" /> : null}
      </>
    ),
    by: ({ service }) => service,
  },
  workers: numeric(
    'Workers',
    ({ workersWaiting, workersBusy }) => workersWaiting + workersBusy,
    count,
    {
      alarm: (service) => (isUnserved(service) ? NO_WORKER : isLate(service) ? 'all busy' : null),
      saysAlarm: true,
    },
  ),
  idle: numeric('Idle', ({ workersWaiting }) => workersWaiting, count, { drop: 1 }),
  busy: numeric('Busy', ({ workersBusy }) => workersBusy, count, { drop: 2 }),
  queued: numeric('Queued', (service: Service) => waitingOf(service), count, {
    drop: 3,
    isBelow: true,
    about: WAITING,
    alarm: (service) => (waitingOf(service) > 0 && isUnserved(service) ? NO_WORKER : null),
  }),
  failures: numeric('Failures/s', failuresOf, (value) => (value === 0 ? '0' : perSecond(value)), {
    alarm: ifAny(failuresOf, 'requests fail now'),
  }),
  share: numeric('Failed', failedShare, percent, { drop: 3 }),
  dead: {
    ...numeric('Dead', dead, count, {
      drop: 4,
      isBelow: true,
      alarm: ifAny(dead, 'failed for good'),
    }),
    cell: (service) =>
      (dead(service) ?? 0) > 0 ? (
        <a href={linkTo('durable', undefined, { service: service.service, state: 'dead' })}>
          {count(dead(service))}
        </a>
      ) : (
        count(dead(service))
      ),
  },
  oldest: numeric('Oldest waiting', oldestOf, about, { drop: 3, isBelow: true }),
  rate: numeric('Replies', repliesOf, perSecond, { drop: 3 }),
  p50: numeric('p50', ({ plain }) => plain?.p50Ms ?? null, millis, { drop: 1, about: P50 }),
  p99: numeric('p99', ({ plain }) => plain?.p99Ms ?? null, millis, {
    drop: 2,
    isBelow: true,
    about: P99,
  }),
  max: numeric('Longest', ({ plain }) => plain?.maxMs ?? null, millis, {
    drop: 2,
    isBelow: true,
    about: LONGEST,
  }),
  pending: numeric('Pending', ({ durable }) => durable?.pending ?? null, count, {
    drop: 1,
    about: 'durable requests that wait, also those to run later or again',
  }),
} satisfies Readonly<Record<string, Column<Service>>>;
