/** What `top SERVICE` shows below the service: its workers, the busiest first. */
import type { Facts } from '../ask.js';
import { duration, printable, table } from '../output.js';
import { clipped, type Size } from './fit.js';

/** The service that was named, in its shown form, and its workers. */
export interface NamedService {
  readonly service: string;
  readonly workers: readonly Facts[];
  /** There are more of them. */
  readonly isCut: boolean;
}

interface Column {
  readonly head: string;
  readonly cell: (worker: Facts) => string;
  readonly right?: boolean;
}

const NAME_WIDTH_MIN = 10;
const GAP = 2;
/** By importance: a narrow terminal shows only the first. */
const COLUMNS: readonly Column[] = [
  { head: 'STATE', cell: ({ state }) => printable(state) },
  { head: 'IN FLIGHT', cell: ({ inFlight }) => printable(inFlight), right: true },
  { head: 'SINCE', cell: ({ sinceMs }) => since(sinceMs), right: true },
  { head: 'ADDRESS', cell: ({ address }) => textOf(address) },
  { head: 'CREDIT', cell: ({ credit }) => printable(credit), right: true },
];

/** @param rows how many fit */
export function workerLines({ workers, isCut }: NamedService, { columns, rows }: Size): string {
  if (workers.length === 0) return clipped('no workers', columns);
  const room = Math.max(0, rows - 2);
  const shown = [...workers].sort((left, right) => inFlight(right) - inFlight(left)).slice(0, room);
  const left = workers.length - shown.length;
  const more =
    left > 0 || isCut ? clipped(`and ${left}${isCut ? ' or more' : ' more'}`, columns) : '';
  return fitted(shown, columns) + more;
}

function fitted(workers: readonly Facts[], columns: number): string {
  const cells = COLUMNS.map(({ cell }) => workers.map(cell));
  const widths = COLUMNS.map(({ head }, at) =>
    Math.max(head.length, ...(cells[at] ?? []).map(({ length }) => length)),
  );
  let [fitting, used] = [0, 0];
  for (const width of widths) {
    if (columns - used - GAP - width < NAME_WIDTH_MIN) break;
    used += GAP + width;
    fitting++;
  }
  const nameWidth = Math.max(1, columns - used);
  const heads = [{ head: clipped('WORKER', nameWidth) }, ...COLUMNS.slice(0, fitting)];
  const rows = workers.map((worker, row) => [
    clipped(textOf(worker['name']), nameWidth),
    ...cells.slice(0, fitting).map((column) => column[row] ?? ''),
  ]);
  return table(heads, rows);
}

function inFlight({ inFlight: value }: Facts): number {
  return typeof value === 'number' ? value : 0;
}

function since(value: unknown): string {
  return typeof value === 'number' ? duration(value) : '-';
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? printable(value) : '-';
}
