/**
 * What `top` shows: the node in two lines, then as many services as fit, those that fail first; of a service
 * that is named its workers, too.
 */
import { failuresOf, repliesOf } from '../../core/service-needs.js';
import { type Facts, factsIn, reasonText } from '../common/facts.js';
import { counted, duration, printable } from '../common/output.js';
import type { Size } from '../common/screen.js';
import { clipped, type Column, field, table } from '../common/table.js';
import { countText, figure, freeOf, nameOf, rateText, sinceText } from './cells.js';
import { loadOf } from './service-loads.js';

/** The node's state at one moment. */
export interface Snapshot {
  readonly status: Facts;
  readonly health: Facts | null;
  readonly services: readonly Facts[];
  /** The only service to show, with its workers; `null`: all services. */
  readonly named: NamedService | null;
}

/** The service that was named, in its shown form, and its workers. */
export interface NamedService {
  readonly service: string;
  readonly workers: readonly Facts[];
  /** Whether there are more workers. */
  readonly isCut: boolean;
}

/** Wide enough that they do not move while their numbers change. */
const wideHead = (head: string): string => head.padStart(7);

export const SERVICES: readonly Column<Facts>[] = [
  { head: 'SERVICE', cell: nameOf, cut: 10 },
  figure(wideHead('QUEUED'), 8, (service) => String(numberOf(service['queued']))),
  figure(wideHead('BUSY'), 6, (service) => String(numberOf(service['workersBusy']))),
  figure(wideHead('FREE'), 5, (service) => String(numberOf(freeOf(service)))),
  figure(wideHead('PENDING'), 4, (service) => countText(durable(service)['pending'])),
  figure(wideHead('DEAD'), 3, (service) => countText(durable(service)['dead'])),
  figure(wideHead('OUT/S'), 2, (service) => rateText(repliesOf(loadOf(service)))),
  figure(wideHead('FAIL/S'), 7, (service) => rateText(failuresOf(loadOf(service)))),
  figure(wideHead('IN/S'), 1, (service) => rateText(plain(service)['requestsPerSecond'])),
];

const WORKERS: readonly Column<Facts>[] = [
  field('WORKER', 'name', { cut: 10 }),
  field('STATE', 'state', { drop: 5 }),
  field('IN FLIGHT', 'inFlight', { right: true, drop: 4 }),
  { head: 'SINCE', cell: ({ sinceMs }) => sinceText(sinceMs), right: true, drop: 3 },
  field('ADDRESS', 'address', { drop: 2 }),
  field('CREDIT', 'credit', { right: true, drop: 1 }),
];

export function render(sight: Snapshot, { columns, rows }: Size): string {
  const head = [...nodeLines(sight).map((line) => clipped(line, columns)), ''];
  const room = Math.max(0, rows - head.length - 2);
  const { named } = sight;
  const { services } = sight;
  const listed =
    named === null ? services : services.filter(({ service }) => service === named.service);
  const shown = listed.slice(0, room);
  const above = `${head.join('\n')}\n${table(SERVICES, shown, columns)}`;
  if (named !== null) {
    // The service's row stands below the column heads and above an empty line.
    const left = Math.max(0, room - shown.length - 1);
    return `${above}\n${workerLines(named, { columns, rows: left })}`;
  }
  const left = listed.length - shown.length;
  return left > 0 ? `${above}${clipped(`and ${left} more`, columns)}` : above;
}

/** @param rows how many fit */
function workerLines({ workers, isCut }: NamedService, { columns, rows }: Size): string {
  if (workers.length === 0) return clipped('no workers', columns);
  const room = Math.max(0, rows - 2);
  const busiest = [...workers].sort((a, b) => numberOf(b['inFlight']) - numberOf(a['inFlight']));
  const left = Math.max(0, workers.length - room);
  const more =
    left > 0 || isCut ? clipped(`and ${left}${isCut ? ' or more' : ' more'}`, columns) : '';
  return table(WORKERS, busiest.slice(0, room), columns) + more;
}

function nodeLines({ status, health, services }: Snapshot): string[] {
  const sum = (of: (service: Facts) => unknown): number =>
    services.reduce((total, service) => total + numberOf(of(service)), 0);
  const { uptimeMs } = status;
  const up = typeof uptimeMs === 'number' ? duration(uptimeMs) : '-';
  const ready =
    health?.['ready'] === true ? 'ready' : `NOT READY: ${reasonText(health?.['reason'])}`;
  const degraded = health?.['degraded'];
  const hurt = Array.isArray(degraded)
    ? degraded.map((each) => `DEGRADED: ${reasonText(each)}`)
    : [];
  const node = [status['node'], status['role'], status['state']].map(printable).join(' ');
  const busy = sum(({ workersBusy }) => workersBusy);
  const all = busy + sum(({ workersWaiting }) => workersWaiting);
  const load = `${all} workers (${busy} busy), ${sum(({ queued }) => queued)} queued`;
  const [pending, dead] = [
    sum((each) => durable(each)['pending']),
    sum((each) => durable(each)['dead']),
  ];
  const stored = pending + dead === 0 ? '' : `, ${pending} pending, ${dead} dead`;
  const known = services.some((each) => typeof plain(each)['repliesPerSecond'] === 'number');
  const replies = rateText(sum((each) => plain(each)['repliesPerSecond']));
  return [
    `${node}, up ${up}, ${ready}`,
    ...hurt,
    `${counted(services.length, 'service')}, ${load}${stored}${known ? `, ${replies} replies/s` : ''}`,
  ];
}

function plain(service: Facts): Facts {
  return factsIn(service['plain']) ?? {};
}

/** Stored requests; empty: none. */
function durable(service: Facts): Facts {
  return factsIn(service['durable']) ?? {};
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
