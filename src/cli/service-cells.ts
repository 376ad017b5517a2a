/** Figures of a service for people; `-` if there is none. */
import type { Facts } from './ask.js';
import { duration } from './output.js';

/** `plain` or `durable` of a service; empty if the node does not report it. */
export function partOf(service: Facts, name: 'plain' | 'durable'): Facts {
  const part = service[name];
  return typeof part === 'object' && part !== null ? { ...part } : {};
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
