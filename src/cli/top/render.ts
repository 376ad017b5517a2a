/** What `top` shows: the node in two lines, then as many services as fit, the busiest first. */
import type { Facts } from '../ask.js';
import { duration, printable, table } from '../output.js';
import { countText, partOf, rateText } from '../service-cells.js';
import { clipped, type Size } from './fit.js';
import { type NamedService, workerLines } from './workers.js';

/** The node's state at one moment. */
export interface Snapshot {
  readonly status: Facts;
  readonly health: Facts | null;
  readonly services: readonly Facts[];
  /** The only service to show, with its workers; `null`: all services. */
  readonly named: NamedService | null;
}

interface Row {
  readonly service: string;
  readonly waiting: number;
  readonly busy: number;
  readonly queued: number;
  /** Requests, replies and failures per second. */
  readonly inRate: unknown;
  readonly outRate: unknown;
  readonly failRate: unknown;
  /** Stored requests; `undefined`: none. */
  readonly pending: unknown;
  readonly dead: unknown;
}

const NAME_WIDTH_MIN = 10;
const NUMBER_WIDTH = 9;
/** By importance: a narrow terminal shows only the first. */
const COLUMNS: readonly (readonly [head: string, cell: (row: Row) => string])[] = [
  ['QUEUED', ({ queued }) => String(queued)],
  ['BUSY', ({ busy }) => String(busy)],
  ['IDLE', ({ waiting }) => String(waiting)],
  ['PENDING', ({ pending }) => countText(pending)],
  ['DEAD', ({ dead }) => countText(dead)],
  ['OUT/S', ({ outRate }) => rateText(outRate)],
  ['FAIL/S', ({ failRate }) => rateText(failRate)],
  ['IN/S', ({ inRate }) => rateText(inRate)],
];

export function render(sight: Snapshot, { columns, rows }: Size): string {
  const all = sight.services.map(rowOf).sort(byLoad);
  const head = [...nodeLines(sight, all).map((line) => clipped(line, columns)), ''];
  const room = Math.max(0, rows - head.length - 2);
  const { named } = sight;
  const listed = named === null ? all : all.filter(({ service }) => service === named.service);
  const shown = listed.slice(0, room);
  const above = `${head.join('\n')}\n${services(shown, columns)}`;
  if (named !== null) {
    // The service's row stands below the column heads and above an empty line.
    const left = Math.max(0, room - shown.length - 1);
    return `${above}\n${workerLines(named, { columns, rows: left })}`;
  }
  const left = listed.length - shown.length;
  return left > 0 ? `${above}${clipped(`and ${left} more`, columns)}` : above;
}

function services(rows: readonly Row[], columns: number): string {
  const fit = Math.floor((columns - NAME_WIDTH_MIN) / NUMBER_WIDTH);
  const fitting = COLUMNS.slice(0, Math.max(0, fit));
  const nameWidth = Math.max(1, columns - fitting.length * NUMBER_WIDTH);
  const heads = [
    { head: clipped('SERVICE', nameWidth) },
    ...fitting.map(([head]) => ({ head: head.padStart(NUMBER_WIDTH - 2), right: true })),
  ];
  const cells = rows.map((row) => [
    clipped(row.service, nameWidth),
    ...fitting.map(([, cell]) => cell(row)),
  ]);
  return table(heads, cells);
}

function nodeLines({ status, health }: Snapshot, rows: readonly Row[]): string[] {
  const sum = (of: (row: Row) => number): number => rows.reduce((total, row) => total + of(row), 0);
  const { uptimeMs } = status;
  const up = typeof uptimeMs === 'number' ? duration(uptimeMs) : '-';
  const ready = health?.['ready'] === true ? 'ready' : `NOT READY: ${textOf(health?.['reason'])}`;
  const degraded = health?.['degraded'];
  const hurt = Array.isArray(degraded) ? degraded.map((each) => `DEGRADED: ${textOf(each)}`) : [];
  const node = [status['node'], status['role'], status['state']].map(printable).join(' ');
  const [waiting, busy] = [sum((row) => row.waiting), sum((row) => row.busy)];
  const load = `${waiting + busy} workers (${busy} busy), ${sum((row) => row.queued)} queued`;
  const [pending, dead] = [sum((row) => numberOf(row.pending)), sum((row) => numberOf(row.dead))];
  const stored = pending + dead === 0 ? '' : `, ${pending} pending, ${dead} dead`;
  const known = rows.some(({ outRate }) => typeof outRate === 'number');
  const speed = known ? `, ${rateText(sum((row) => numberOf(row.outRate)))} replies/s` : '';
  return [
    `${node}, up ${up}, ${ready}`,
    ...hurt,
    `${rows.length} services, ${load}${stored}${speed}`,
  ];
}

function textOf(reason: unknown): string {
  return typeof reason === 'object' && reason !== null && 'text' in reason
    ? printable(reason.text)
    : '-';
}

function rowOf(facts: Facts): Row {
  const number = (name: string): number => {
    const value = facts[name];
    return typeof value === 'number' ? value : 0;
  };
  const durable = partOf(facts, 'durable');
  const plain = partOf(facts, 'plain');
  return {
    service: printable(facts['service']),
    waiting: number('workersWaiting'),
    busy: number('workersBusy'),
    queued: number('queued'),
    inRate: plain['requestsPerSecond'],
    outRate: plain['repliesPerSecond'],
    failRate: plain['failuresPerSecond'],
    pending: durable['pending'],
    dead: durable['dead'],
  };
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

function byLoad(left: Row, right: Row): number {
  const differences = [
    right.queued - left.queued,
    right.busy - left.busy,
    numberOf(right.pending) - numberOf(left.pending),
    numberOf(right.outRate) - numberOf(left.outRate),
  ];
  return differences.find((each) => each !== 0) ?? (left.service < right.service ? -1 : 1);
}
