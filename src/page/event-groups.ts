/** Events that repeat are one row: the same thing, of the same service. */
import type { ReceivedEvent } from './event-stream.js';

export interface EventGroup {
  readonly key: string;
  readonly latest: ReceivedEvent;
  /** Those before it, the newest first. */
  readonly earlier: readonly ReceivedEvent[];
}

/** The service that an event is about; the empty text: about none. */
export function serviceOf({ service }: ReceivedEvent): string {
  return typeof service === 'string' ? service : '';
}

/**
 * @param events the newest first
 * @returns the group that was heard of last first
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
