import { OPERATIONS } from '../api/operations.js';
import type { Ports } from '../ports.js';
import { route, type Route } from './route.js';

/** Recent events, and new ones as they happen. */
export function eventRoutes({ eventFeed }: Ports): Route[] {
  return [
    route(OPERATIONS.events, ({ caller, incoming }) => {
      const lastEventId = incoming.headers['last-event-id']?.[0] ?? null;
      const isStranger = caller === 'anyone';
      eventFeed.checkRoom(isStranger);
      return {
        type: 'text/event-stream; charset=utf-8',
        // A proxy that buffers answers would hold the events back.
        headers: { 'x-accel-buffering': 'no' },
        open: (write) => eventFeed.subscribe(write, isStranger, lastEventId),
      };
    }),
  ];
}
