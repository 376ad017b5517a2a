import type { Ports } from './ports.js';
import type { Route } from './route.js';

/** What has happened lately, and what happens, as it happens. */
export function eventRoutes({ feed }: Ports): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/events',
      access: 'reader',
      parameters: [],
      handle: ({ standing, lastEventId }) => {
        const isStranger = standing === 'anyone';
        feed.checkRoom(isStranger);
        return {
          type: 'text/event-stream; charset=utf-8',
          // Proxies that collect what they pass on would keep it from the reader.
          headers: { 'x-accel-buffering': 'no' },
          open: (write) => feed.subscribe(write, isStranger, lastEventId),
        };
      },
    },
  ];
}
