/** Groups events of the same name and service, so that repeated ones share a row. */
import type { ReceivedEvent } from './event-stream.js';

export interface EventGroup {
  readonly key: string;
  readonly latest: ReceivedEvent;
  /** The earlier ones, newest first. */
  readonly earlier: readonly ReceivedEvent[];
}

/** The service of an event; empty if it has none. */
export function serviceOf({ service }: ReceivedEvent): string {
  return typeof service === 'string' ? service : '';
}

/**
 * @param events newest first
 * @returns the group with the latest event first
 */
export function grouped(events: readonly ReceivedEvent[]): EventGroup[] {
  const groups = new Map<string, { latest: ReceivedEvent; earlier: ReceivedEvent[] }>();
  for (const received of events) {
    // Names of events have no spaces.
    const key = `${received.event} ${serviceOf(received)}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { latest: received, earlier: [] });
    else group.earlier.push(received);
  }
  return Array.from(groups, ([key, group]) => ({ key, ...group }));
}
