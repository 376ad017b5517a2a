/** Events that repeat are one row: the same thing, of the same service. */
import type { Told } from './event-stream.js';

export interface EventGroup {
  readonly key: string;
  readonly latest: Told;
  /** Those before it, the newest first. */
  readonly earlier: readonly Told[];
}

/** The service that an event is about; the empty text: about none. */
export function serviceOf({ service }: Told): string {
  return typeof service === 'string' ? service : '';
}

/**
 * @param events the newest first
 * @returns the group that was heard of last first
 */
export function grouped(events: readonly Told[]): EventGroup[] {
  const groups = new Map<string, { latest: Told; earlier: Told[] }>();
  for (const told of events) {
    // Names of events have no spaces.
    const key = `${told.event} ${serviceOf(told)}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { latest: told, earlier: [] });
    else group.earlier.push(told);
  }
  return Array.from(groups, ([key, group]) => ({ key, ...group }));
}
