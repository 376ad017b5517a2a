/** The charts of the node, and of one service. */
import type { ChartOptions } from './chart.js';
import type { Series } from './drawing.js';
import { linkTo } from './address.js';
import { type Axis, COUNTS, LATENCIES, RATES } from './scales.js';

function chart(title: string, axis: Axis, ...series: readonly Series[]): ChartOptions {
  return { title, axis, series };
}

function linked(
  view: string,
  made: ChartOptions,
  query: Record<string, string> = {},
): ChartOptions {
  return { ...made, href: linkTo(view, undefined, query) };
}

const RECEIVED: Series = ['received', 'in', 'blue', 'area'];
const REPLIED: Series = ['replied', 'replied', 'green'];
const FAILED: Series = ['failed', 'failed', 'red'];
const ACCEPTED: Series = ['accepted', 'accepted', 'blue', 'area'];
const COMPLETED: Series = ['completed', 'replied', 'green'];
const OPEN: Series = ['open', 'not replied yet', 'blue', 'area'];
const LATENCY = chart(
  'Latency',
  LATENCIES,
  ['maxMs', 'longest', 'violet'],
  ['p99Ms', 'p99', 'amber'],
  ['p50Ms', 'p50', 'green'],
);
const WORKERS = { ...COUNTS, leastTop: 4 };
const IDLE: Series = ['workersWaiting', 'idle', 'green', 'area'];
const BUSY: Series = ['workersBusy', 'busy', 'blue'];

export const NODE_CHARTS: readonly ChartOptions[] = [
  chart('Requests per second', RATES, RECEIVED, REPLIED, FAILED),
  LATENCY,
];

export const SMALL_CHARTS: readonly ChartOptions[] = [
  linked(
    'services',
    chart('Queued', COUNTS, ['queued', 'plain, waiting for a worker', 'amber', 'area']),
  ),
  chart('In flight', COUNTS, ['inFlight', 'at workers', 'blue', 'area']),
  linked('services', chart('Workers', WORKERS, IDLE, BUSY)),
  chart('Event loop', { ...LATENCIES, leastTop: 20, mayBeLog: false }, [
    'loopLagMs',
    'worst loop delay',
    'violet',
    'area',
  ]),
];

export const STORED_CHARTS: readonly ChartOptions[] = [
  linked('durable', chart('Durable unanswered', COUNTS, OPEN)),
  linked(
    'durable',
    chart('Durable dead', { ...COUNTS, leastTop: 4 }, ['dead', 'needs attention', 'red', 'area']),
    { state: 'dead' },
  ),
  linked('durable', chart('Durable per second', RATES, ACCEPTED, COMPLETED)),
];

const ATTEMPTS: Series = ['failedAttempts', 'failed attempts', 'amber'];
const DEATHS: Series = ['deaths', 'deaths', 'red'];

export const SERVICE_CHARTS: readonly ChartOptions[] = [
  chart('Requests per second', RATES, RECEIVED, REPLIED, FAILED, [
    'redelivered',
    'redelivered',
    'amber',
  ]),
  LATENCY,
  chart(
    'Queue',
    COUNTS,
    ['queued', 'plain queued', 'amber', 'area'],
    ['inFlight', 'in flight', 'blue'],
  ),
  chart('Durable per second', RATES, ACCEPTED, COMPLETED, ATTEMPTS, DEATHS),
  chart(
    'Durable: acceptance to reply',
    LATENCIES,
    ['toReplyMaxMs', 'longest', 'violet'],
    ['toReplyP99Ms', 'p99', 'amber'],
    ['toReplyP50Ms', 'p50', 'green'],
  ),
  chart('Durable unanswered', COUNTS, OPEN, ['dead', 'dead', 'red']),
  chart('Worker states', WORKERS, IDLE, BUSY),
];
