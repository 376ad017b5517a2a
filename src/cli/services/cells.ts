/** Figures of a service for people; `-` if there is none. */
import type { Facts } from '../common/facts.js';
import { duration, printable } from '../common/output.js';
import type { Column } from '../common/table.js';

/** The name of a service, and whether it is paused. */
export function nameOf({ service, paused }: Facts): string {
  return paused === true ? `${printable(service)} (paused)` : printable(service);
}

/** A column of numbers; see `Column.drop`. */
export function figure(
  head: string,
  drop: number | null,
  cell: (service: Facts) => string,
): Column<Facts> {
  return { head, cell, right: true, ...(drop === null ? {} : { drop }) };
}

/** How many more requests its workers take now; a broker of 0.1.0 tells only how many of them have none. */
export function freeOf({ free, workersWaiting }: Facts): unknown {
  return free ?? workersWaiting;
}

export function countText(value: unknown): string {
  return typeof value === 'number' ? String(value) : '-';
}

export function rateText(perSecond: unknown): string {
  if (typeof perSecond !== 'number') return '-';
  return perSecond >= 10 ? String(Math.round(perSecond)) : perSecond.toFixed(1);
}

/** A time below ten seconds in milliseconds, else rounded. */
export function msText(ms: unknown): string {
  if (typeof ms !== 'number') return '-';
  return ms < 10_000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : duration(ms);
}

/** How long something has been so. */
export function sinceText(ms: unknown): string {
  return typeof ms === 'number' ? duration(ms) : '-';
}
